/**
 * Who may import whom (ARCHITECTURE.md), as a test. Each row may import rows above it, never its own row or below; from another
 * room only the door may be imported, the file that bears the room's name.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..')
const rows = [
  ['contract'],
  ['platform'],
  ['ledger'],
  ['inbox'],
  ['accounts'],
  ['payments', 'orders'],
  ['billing'],
  ['staff'],
  // The only files that see all: they build the rooms and give each its URL.
  ['http.ts', 'jobs.ts', 'live.ts', 'main.ts', 'openapi.ts', 'status.ts', 'config.ts', 'wallet.ts', 'backup'],
]
/** Programs and what they start with: nobody imports them. */
const entries = [
  'server/main.ts',
  'sandbox/main.ts',
  'web/main.tsx',
  'web/vite.config.ts',
  'server/ledger/audit/audit.ts',
  'server/accounts/staff.ts',
  'server/backup/backup.ts',
  'server/backup/check.ts',
  'server/backup/restore.ts',
  'server/staff/reconcile.ts',
  'server/wallet.ts',
  'bench/bench.ts',
  'test/playwright.config.ts',
]

const files = ['contract', 'server', 'web', 'sandbox', 'db', 'bench', 'test'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|tsx|mts)$/.test(name))
    .map((name) => join(folder, name)),
)
const isTest = (file: string) => /\.(test|spec)\.tsx?$/.test(file) || file.startsWith('test/')
const text = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const imports = files.flatMap((file) =>
  [...text(file).matchAll(/(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g)].map((match) => {
    const path = relative(ROOT, join(ROOT, dirname(file), match[1]!.replace(/\?.*$/, '')))
    return { file, target: existsSync(join(ROOT, path)) ? path : path.replace(/\.js$/, '.ts') }
  }),
)

/** `server/orders/sms.ts` → `orders`; `server/http.ts` → `http.ts`; `contract/money.ts` → `contract`. */
function room(file: string): string {
  const parts = file.split('/')
  return parts[0] === 'server' ? parts[1]! : parts[0]!
}

function row(file: string): number {
  return rows.findIndex((names) => names.includes(room(file)))
}

test('imports go upwards, through doors', () => {
  const wrong: string[] = []
  for (const { file, target } of imports) {
    if (!file.startsWith('server/') || isTest(file)) continue
    if (target.startsWith('db/')) continue // the generated types
    const [from, to] = [room(file), room(target)]
    if (from === to || rows.at(-1)!.includes(from)) continue
    const door = to === 'contract' || to === 'platform' || target === `server/${to}/${to}.ts`
    if (row(target) < 0 || row(target) >= row(file)) wrong.push(`${file} may not see ${target}: it is not above`)
    else if (!door) wrong.push(`${file} must go through the door of ${to}, not ${target}`)
  }
  assert.deepEqual(wrong, [])
})

test('every room of the server has its row', () => {
  assert.deepEqual(
    files.filter((file) => file.startsWith('server/') && !isTest(file) && row(file) < 0),
    [],
  )
})

test('pages and the outside world stand apart: they see the contract and themselves', () => {
  const wrong = imports.filter(({ file, target }) => {
    if (isTest(file)) return false
    if (file.startsWith('web/')) return !/^(web|contract)\//.test(target)
    if (file.startsWith('sandbox/')) return !/^(sandbox|contract)\//.test(target)
    return file.startsWith('server/') && /^(sandbox|web)\//.test(target)
  })
  assert.deepEqual(wrong, [])
})

test('the parts of the pages know no business word', () => {
  const wrong = imports.filter(
    ({ file, target }) => file.startsWith('web/ui/') && !isTest(file) && !/^(web\/ui|contract)\//.test(target),
  )
  assert.deepEqual(wrong, [])
})

test('time, randomness and ids come from the platform', () => {
  const asks =
    /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bsetTimeout\(|\bsetInterval\(|\brandom(?:UUID|Bytes|Int)\(/
  const wrong = files
    .filter((file) => file.startsWith('server/') && !file.startsWith('server/platform/') && !isTest(file))
    .flatMap((file) =>
      text(file)
        .split('\n')
        .flatMap((line, index) => (asks.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
    )
  assert.deepEqual(wrong, [])
})

test('only the ledger moves money: no other file writes its tables', () => {
  const writes =
    /\b(?:insert\s+into|update|delete\s+from)\s+(?:transfers|ledger_accounts|open_holds|house_entries|platform_deltas|platform_sums)\b/i
  const sql = readdirSync(join(ROOT, 'server'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sql'))
    .map((name) => join('server', name))
  // The benchmark's rival does what the ledger does in its own, plain way.
  const product = files.filter((file) => !isTest(file) && !file.startsWith('bench/'))
  const wrong = [...product, ...sql].filter((file) => !file.startsWith('server/ledger/') && writes.test(text(file)))
  assert.deepEqual(wrong, [])
})

test('no file is dead', () => {
  const seen = new Set(imports.map(({ target }) => target))
  const html = text('web/index.html')
  const dead = files.filter(
    (file) => !seen.has(file) && !isTest(file) && !entries.includes(file) && !html.includes(file.replace('web/', '')),
  )
  assert.deepEqual(dead, [])
})

test('where money moves, a README says what must always be true', () => {
  const missing = ['server/ledger', 'server/payments', 'server/orders', 'sandbox'].filter(
    (folder) => !existsSync(join(ROOT, folder, 'README.md')),
  )
  assert.deepEqual(missing, [])
})
