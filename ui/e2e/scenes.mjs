// The situations that are looked at: how to get there, and what must be visible then.

const row = (name) => `[data-testid=container-row][data-name="${name}"]`
const press = async (page, text) => page.keyboard.press(text)

export const scenes = [
  { name: 'containers', act: async (page) => page.click(row('harbor-shop-api-1')), see: '[data-testid=log-line]' },
  {
    name: 'find',
    act: async (page) => {
      await page.click(row('harbor-shop-api-1'))
      await page.waitForSelector('[data-testid=log-line]')
      await page.fill('#find', 'checkout')
    },
    see: 'mark.current',
  },
  {
    name: 'overview',
    act: async (page) => {
      await page.click(row('billing-reports-1'))
      await page.click('#tab-overview')
    },
    see: 'dl',
  },
  {
    name: 'inspect',
    act: async (page) => {
      await page.click(row('harbor-shop-web-1'))
      await page.click('#tab-inspect')
    },
    see: 'pre',
  },
  { name: 'unselected', see: row('billing-gateway-1') },
  { name: 'project', act: async (page) => page.click('[aria-level="1"]'), see: '#detail li' },
  {
    name: 'several',
    act: async (page) => {
      await page.click(row('harbor-shop-api-1'), { modifiers: ['Control'] })
      await page.click(row('harbor-shop-redis-1'), { modifiers: ['Shift'] })
    },
    see: row('harbor-shop-worker-1'),
  },
  {
    name: 'menu',
    act: async (page) => page.click(row('harbor-shop-web-1'), { button: 'right' }),
    see: '[role=menu]',
  },
  { name: 'no-match', act: async (page) => page.fill('#filter', 'postgres:99'), see: '#filter' },
  {
    name: 'run',
    act: async (page) => {
      await page.click('[data-testid=run-open]')
      await page.fill('[data-testid=run-image]', 'postgres:17')
      await page.fill('[data-testid=run-name]', 'db')
      await page.fill('[data-testid=run-command]', 'postgres -c "shared_buffers=256MB"')
      await page.click('[data-testid=run-ports-add]')
      await page.fill('[data-testid=run-ports-left]', '5432')
      await page.fill('[data-testid=run-ports-right]', '5432')
      await page.click('[data-testid=run-volumes-add]')
      await page.fill('[data-testid=run-volumes-left]', 'data')
      await page.fill('[data-testid=run-volumes-right]', '/var/lib/postgresql/data')
      await page.getByRole('button', { name: /Add variable|변수 추가/ }).click()
      await page.getByRole('textbox', { name: /Variable 1, name|변수 1 이름/ }).fill('POSTGRES_PASSWORD')
      await page.getByRole('textbox', { name: /Variable 1, value|변수 1 값/ }).fill("it's secret")
    },
    see: '[data-testid=run-line]',
  },
  {
    name: 'delete-running',
    act: async (page) => {
      await page.click(row('harbor-shop-api-1'))
      await press(page, 'Delete')
    },
    see: '[data-testid=question-confirm]',
  },
  {
    name: 'undo',
    act: async (page) => {
      await page.click(row('migrate-once'))
      await press(page, 'Delete')
    },
    see: '[data-testid=toast]',
  },
  { name: 'palette', act: async (page) => press(page, 'Control+k'), see: '[role=listbox]' },
  { name: 'keys', act: async (page) => press(page, '?'), see: 'dialog dl' },
  {
    name: 'images',
    act: async (page) => {
      await press(page, 'Control+2')
      await page.click('[data-testid=image-row] >> nth=4')
    },
    see: '#detail dl',
  },
  {
    name: 'pulling',
    state: 'pulling',
    act: async (page) => {
      await press(page, 'Control+d')
      await page.fill('[data-testid=pull-name]', 'nginx:1.29')
      await page.click('[data-testid=pull-confirm]')
      await page.waitForSelector('[data-testid=pull] [aria-expanded]')
      await page.click('[data-testid=pull] [aria-expanded]')
      await page.waitForTimeout(700)
    },
    see: '[data-testid=pull] li',
  },
  {
    name: 'pull-refused',
    act: async (page) => {
      await press(page, 'Control+d')
      await page.fill('[data-testid=pull-name]', 'registry.acme.io/private/app')
      await page.click('[data-testid=pull-confirm]')
    },
    see: '[data-testid=problem]',
  },
  { name: 'settings', act: async (page) => press(page, 'Control+,'), see: '[role=radiogroup]' },
  {
    name: 'settings-engine',
    act: async (page) => {
      await press(page, 'Control+,')
      await page.getByRole('button', { name: /^(Engine|엔진)$/ }).click()
    },
    see: 'dl',
  },
  {
    name: 'diagnostics',
    act: async (page) => {
      await press(page, 'Control+,')
      await page.getByRole('button', { name: /^(Diagnostics|진단)$/ }).click()
      await page.getByRole('button', { name: /Make report|보고서 만들기/ }).click()
    },
    see: 'pre',
  },
  { name: 'off', state: 'off', manual: true, see: '[data-testid=start-engine]' },
  { name: 'starting', state: 'starting', see: '[data-testid=steps] li:nth-child(3)' },
  { name: 'failed', state: 'failed', see: '[data-testid=problem]' },
  { name: 'stopping', state: 'stopping', see: '[data-phase=stopping]' },
  { name: 'silent', state: 'silent', see: '[role=alert]' },
  { name: 'empty', state: 'empty', see: '.code' },
  { name: 'empty-images', state: 'empty', act: async (page) => press(page, 'Control+2'), see: '.code' },
  { name: 'loading', state: 'loading', see: '[aria-busy=true] p' },
  {
    name: 'many',
    state: 'many',
    act: async (page) => {
      await page.focus('#list')
      await press(page, 'End')
    },
    see: row('job-1000'),
  },
  { name: 'long', state: 'long', act: async (page) => page.click('[data-testid=container-row] >> nth=0'), see: '[data-testid=log-line]' },
  { name: 'boom', state: 'boom', see: '[role=alert] pre' },
]
