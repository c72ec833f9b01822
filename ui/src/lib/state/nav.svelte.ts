// Where the person is: screen, selected things, tab, open dialogs; with back and forward.

export type Screen = 'containers' | 'images' | 'settings'
export type Tab = 'overview' | 'logs' | 'inspect'
export type SettingsPage = 'general' | 'appearance' | 'engine' | 'diagnostics'
export const TABS: readonly Tab[] = ['overview', 'logs', 'inspect']

interface Nav {
  screen: Screen
  settingsPage: SettingsPage
  tab: Tab
  /** In a narrow window the details cover the list. */
  detailOpen: boolean
}

export const nav = $state<Nav>({ screen: 'containers', settingsPage: 'appearance', tab: 'logs', detailOpen: false })

export type Dialog =
  | { kind: 'run'; image: string }
  | { kind: 'pull' }
  | { kind: 'keys' }
  | { kind: 'palette'; commandsOnly: boolean }
  | null

export const overlay = $state<{ dialog: Dialog }>({ dialog: null })

const past: Screen[] = []
const future: Screen[] = []

export function go(screen: Screen): void {
  if (screen === nav.screen) return
  past.push(nav.screen)
  future.length = 0
  nav.screen = screen
  nav.detailOpen = false
}

export function back(): void {
  const screen = past.pop()
  if (!screen) return
  future.push(nav.screen)
  nav.screen = screen
}

export function forward(): void {
  const screen = future.pop()
  if (!screen) return
  past.push(nav.screen)
  nav.screen = screen
}

export function openDialog(dialog: Dialog): void {
  overlay.dialog = dialog
}

export function closeDialog(): void {
  overlay.dialog = null
}

/** The next or previous tab, around the ends. */
export function turnTab(step: number): void {
  const at = TABS.indexOf(nav.tab)
  nav.tab = TABS[(at + step + TABS.length) % TABS.length] ?? 'logs'
}
