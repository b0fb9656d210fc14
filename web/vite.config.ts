import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { firstLoad } from './first-load.ts'

/** The first page of a stranger and of a customer. Source of the limit: what a phone on a poor network loads in two seconds. */
const weighed = { pages: ['/web/public/Front.tsx', '/web/home/Home.tsx'], bytesMax: 180_000 }

export default defineConfig({
  plugins: [react(), tailwindcss(), firstLoad(weighed)],
  // `web/public/` is the room of the signed-out pages, not a folder of files to copy.
  publicDir: false,
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    // The pages are served with `default-src 'self'`: nothing may become a data: address or an inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
})
