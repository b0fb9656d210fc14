import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react(), tailwindcss()],
  // `web/public/` is the room of the signed-out page, not a folder of files to copy.
  publicDir: false,
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    // The pages are served with `default-src 'self'`: nothing may become a data: address or an inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
})
