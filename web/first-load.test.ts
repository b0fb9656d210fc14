import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { build } from 'vite'
import { firstLoad } from './first-load.ts'

const root = mkdtempSync(join(tmpdir(), 'first-load-'))
after(() => rmSync(root, { recursive: true }))

/** Words that gzip cannot make much smaller. */
const ballast = (words: number) =>
  Array.from({ length: words }, (_, at) => Math.imul(at + 1, 2_654_435_761).toString(36)).join(' ')

mkdirSync(join(root, 'pages'))
const files = {
  'index.html': '<!doctype html><div id="root"></div><script type="module" src="./main.js"></script>',
  'main.js': `import './main.css'
    const go = { '/': () => import('./pages/home.js'), '/docs': () => import('./pages/docs.js') }
    go[location.pathname]?.()`,
  'main.css': `body { --words: "${ballast(50)}" }`,
  'pages/home.js': `console.log('${ballast(100)}')`,
  'pages/docs.js': `console.log('${ballast(10_000)}')`,
}
for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text)

function weigh(bytesMax: number, pages = ['/pages/home.js']) {
  return build({
    root,
    configFile: false,
    logLevel: 'silent',
    build: { write: false, modulePreload: { polyfill: false } },
    plugins: [firstLoad({ pages, bytesMax })],
  })
}

test('what is loaded later does not weigh', async () => {
  await weigh(10_000)
})

test('a first load above its limit is not built, and the message says by how much', async () => {
  await assert.rejects(weigh(1_000), /First load: [1-9](\.\d)? kB of script and style \(gzip, at most 1 kB\)/)
})

test('the page that needs the most is the one that counts', async () => {
  await assert.rejects(weigh(10_000, ['/pages/home.js', '/pages/docs.js']), /gzip, at most 10 kB/)
})

test('a page that was moved is missed, not left out', async () => {
  await assert.rejects(weigh(10_000, ['/pages/start.js']), /nothing that was built holds \/pages\/start\.js/)
})
