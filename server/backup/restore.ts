/**
 * Fills an empty database from a backup. The tables are made by our own migrations, up to those that the backup knew; its rows come in
 * one transaction, which is committed when every checksum, count and figure has been seen to be right; then the newer migrations run.
 * From its first step to its last a mark stands in the database, and no server starts while it does.
 *
 *   npm run restore -- FILE     `-` reads from standard input
 *
 * Needs DATABASE_URL (MIGRATION_DATABASE_URL where the owner is another login). Exits with 1 and a sentence when it does not come to its
 * end; the launcher has the file checked before (check.ts), and the ledger proved afterwards.
 */
import { isDeepStrictEqual } from 'node:util'
import type pg from 'pg'
import { queues } from '../jobs.ts'
import { CannotMigrate, migrate } from '../platform/migrate.ts'
import { AWAY_IN_WORDS } from '../platform/trouble.ts'
import { openBackup, printHeader, rowsOf } from './check.ts'
import { copyIn } from './copy.ts'
import { CannotRestore, count, type End, type Frame, type Header, type Table } from './file.ts'
import { createProgress, figuresOf, linesIn, printTable, quote, quoted, settleText, tablesOf } from './tables.ts'

if (import.meta.main) {
  try {
    await restoreBackup(process.argv[2], process.env, (sentence) => process.stdout.write(`${sentence}\n`))
  } catch (error) {
    const sentence = inWords(error)
    if (sentence === null) throw error
    process.stderr.write(`${sentence}\n`)
    process.exitCode = 1
  }
}

type Say = (sentence: string) => void

/** Restores the file `source` (`-`: standard input) into the database of `env`; throws what keeps it from that, mostly as a sentence. */
export async function restoreBackup(
  source: string | undefined,
  env: Record<string, string | undefined>,
  say: Say,
): Promise<void> {
  if (!source) throw new CannotRestore('Say what to restore: npm run restore -- FILE (or - for standard input).')
  const { header, frames, close } = openBackup(source)
  try {
    await load(header, frames, env, say)
  } finally {
    close()
  }
}

async function load(
  header: Header,
  frames: Iterable<Frame>,
  env: Record<string, string | undefined>,
  say: Say,
): Promise<void> {
  const serverUrl = env['DATABASE_URL']
  if (!serverUrl) throw new CannotRestore('DATABASE_URL is missing: set it to an empty database.')
  say(`Restoring ${printHeader(header)}.`)
  await migrate({
    ownerUrl: env['MIGRATION_DATABASE_URL'] || serverUrl,
    serverUrl,
    mode: header.mode,
    queues,
    restore: {
      migrations: header.migrations.map(({ name }) => name),
      fill: (client) => fill(client, header, frames, say),
    },
  })
  say(
    `Restored ${header.tables.length} tables, ${count(rowsOf(header))} rows; the checksum and the ledger's figures are right.`,
  )
}

async function fill(client: pg.Client, header: Header, frames: Iterable<Frame>, say: Say): Promise<void> {
  await settleText(client)
  const ours = new Set((await tablesOf(client)).map(printTable))
  await client.query('begin')
  try {
    // What the migrations themselves have put in is in the backup as well.
    for (const table of header.tables.filter((table) => ours.has(printTable(table)))) {
      const { rows } = await client.query<{ some: boolean }>(`select exists(select from ${quoted(table)}) as some`)
      if (rows[0]!.some) await client.query(`delete from ${quoted(table)}`)
    }
    const progress = createProgress(rowsOf(header), say)
    const done: string[] = []
    const end = await eachTable(frames, async (table, pieces) => {
      done.push(printTable(table))
      if (!ours.has(printTable(table))) {
        for (const _ of pieces);
        say(`  Left out: ${printTable(table)}, a table that is not of MobileSMS.`)
        return
      }
      const columns = table.columns.map(quote).join(', ')
      const told = (piece: Buffer) => {
        progress(linesIn(piece), printTable(table))
        return piece
      }
      const rows = await copyIn(
        client,
        `copy ${quoted(table)} (${columns}) from stdin`,
        Iterator.from(pieces).map(told),
      )
      if (rows !== table.rows) throw wrong(`${printTable(table)} has ${rows} rows and should have ${table.rows}`)
    })
    if (!isDeepStrictEqual(done, header.tables.map(printTable))) throw wrong('a table is missing')
    for (const sequence of end.sequences) {
      if (sequence.last === null) continue
      await client.query('select setval(to_regclass($1), $2) where to_regclass($1) is not null', [
        quoted(sequence),
        sequence.last,
      ])
    }
    if (!isDeepStrictEqual(await figuresOf(client), end.figures)) throw wrong("the ledger's figures differ")
    await client.query('commit')
  } catch (error) {
    // The connection may be what broke; then the database has rolled back by itself.
    await client.query('rollback').catch(() => {})
    throw error
  }
  // Plans for what is here now, before the first customer comes.
  await client.query('analyze')
}

/** Hands each table with its rows to `take`; reads to the very end, where the seal is. */
async function eachTable(
  frames: Iterable<Frame>,
  take: (table: Table, pieces: Iterable<Buffer>) => Promise<void>,
): Promise<End> {
  const all = frames[Symbol.iterator]()
  let next = all.next()
  function* pieces(): Generator<Buffer> {
    for (next = all.next(); !next.done && next.value.kind === 'rows'; next = all.next()) yield next.value.bytes
  }
  while (!next.done && next.value.kind === 'table') await take(next.value.table, pieces())
  if (next.done || next.value.kind !== 'end') throw wrong('its end is missing')
  const { end } = next.value
  all.next()
  return end
}

function wrong(what: string): CannotRestore {
  return new CannotRestore(`What came of this backup is not what it says of itself: ${what}. Nothing of it was kept.`)
}

/** What the operator must do, where it is not a bug. */
function inWords(error: unknown): string | null {
  if (error instanceof CannotRestore || error instanceof CannotMigrate) return error.message
  const { code = '', message } = error as { code?: string; message: string }
  if (/^(22|23)...$/.test(code))
    return `The rows of this backup break a rule of their tables (${message}). Nothing of them was kept; make another empty database for the next attempt.`
  if (/^(E[A-Z]+|08...|57P0.|28...|3D000|42501|53...)$/.test(code) || AWAY_IN_WORDS.test(message))
    return `The database cannot be used (${message}): check DATABASE_URL and that it runs. Where the restore had begun, make another empty database for the next attempt.`
  return null
}
