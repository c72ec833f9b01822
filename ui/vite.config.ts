import { svelte } from '@sveltejs/vite-plugin-svelte'
import tailwindcss from '@tailwindcss/vite'
import { defineConfig } from 'vitest/config'

// `--mode mock` answers all commands inside the page: no Rust side, no engine.
export default defineConfig(({ mode }) => ({
  plugins: [svelte(), tailwindcss()],
  base: './',
  clearScreen: false,
  server: { port: 5177, strictPort: true, host: '127.0.0.1' },
  build: { target: 'es2022', assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
  // Tests run the browser's build of Svelte.
  resolve: mode === 'test' ? { conditions: ['browser'] } : {},
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
}))
