/** The generated types are those of the database that the migrations make. After a new migration: `npm run types`. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { freshDatabase, type TestDatabase } from './database.ts'

const ROOT = join(import.meta.dirname, '..')
const CHECKED_IN = join(ROOT, 'db/types.d.ts')

let db: TestDatabase
before(async () => {
  db = await freshDatabase()
})
after(() => db.close())

test('db/types.d.ts is what the database says', async () => {
  // With WRITE_TYPES the file itself is written: that is what `npm run types` does.
  const write = process.env['WRITE_TYPES'] === '1'
  const file = write ? CHECKED_IN : join(tmpdir(), `types-${process.pid}.d.ts`)
  await promisify(execFile)(process.execPath, [
    join(ROOT, 'node_modules/kysely-codegen/dist/cli/bin.js'),
    ...['--dialect', 'postgres', '--url', db.url, '--include-pattern', 'public.*', '--out-file', file],
  ])
  const generated = await readFile(file, 'utf8')
  if (!write) await rm(file)
  assert.equal(
    await readFile(CHECKED_IN, 'utf8'),
    generated,
    'The database and db/types.d.ts differ: run `npm run types`',
  )
})
