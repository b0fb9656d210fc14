/** The few files that pages load, by fixed names: nothing else of the disk can be asked for. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Hono } from 'hono'
import { type Bindings, problem } from './web.ts'

const font = (family: 'next' | 'mono', letters: 'latin' | 'latin-ext') =>
  import.meta.resolve(
    `@fontsource-variable/atkinson-hyperlegible-${family}/files/atkinson-hyperlegible-${family}-${letters}-wght-normal.woff2`,
  )
const own = (path: string) => new URL(path, import.meta.url).href

const files: Record<string, { at: string; type: string }> = {
  'tokens.css': { at: own('./page/tokens.css'), type: 'text/css; charset=utf-8' },
  'desk.css': { at: own('./page/desk.css'), type: 'text/css; charset=utf-8' },
  'desk.js': { at: own('./page/desk.js'), type: 'text/javascript; charset=utf-8' },
  'mailbox.js': { at: own('./mail/mailbox.js'), type: 'text/javascript; charset=utf-8' },
  'icon.svg': { at: own('./page/icon.svg'), type: 'image/svg+xml' },
  'checkout.css': { at: own('./stripe/checkout.css'), type: 'text/css; charset=utf-8' },
  'checkout.js': { at: own('./stripe/checkout.js'), type: 'text/javascript; charset=utf-8' },
  'text.woff2': { at: font('next', 'latin'), type: 'font/woff2' },
  'text-ext.woff2': { at: font('next', 'latin-ext'), type: 'font/woff2' },
  'mono.woff2': { at: font('mono', 'latin'), type: 'font/woff2' },
  'mono-ext.woff2': { at: font('mono', 'latin-ext'), type: 'font/woff2' },
}

export function assets(): Hono<Bindings> {
  const app = new Hono<Bindings>()
  app.get('/:name', async (c) => {
    const name = c.req.param('name')
    const file = Object.hasOwn(files, name) ? files[name] : undefined
    if (!file) return problem(c, 404, 'not_found', `There is no ${c.req.path}.`)
    const content = await readFile(fileURLToPath(file.at))
    return c.body(new Uint8Array(content), 200, {
      'content-type': file.type,
      'x-content-type-options': 'nosniff',
      'cache-control': file.type === 'font/woff2' ? 'max-age=86400' : 'no-cache',
    })
  })
  return app
}
