/**
 * Copies a database into one file while customers go on ordering: everything in one snapshot, so that the copy is as the database was
 * at one instant. Only reads. docs/operating/backup.md says what is in it and what is not.
 *
 *   npm run backup -- FILE     `-` writes to standard output
 *
 * Needs DATABASE_URL (MIGRATION_DATABASE_URL where the owner is another login). Exits with 1 and a sentence, and leaves no FILE, when
 * it cannot.
 */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import pg from 'pg'
import { AWAY_IN_WORDS } from '../platform/trouble.ts'
import { copyOut } from './copy.ts'
import { CannotRestore, count, createWriter, FORMAT, readBackup, type Table } from './file.ts'
import {
  createProgress,
  figuresOf,
  linesIn,
  printTable,
  quote,
  quoted,
  sequencesOf,
  settleText,
  tablesOf,
} from './tables.ts'

class CannotBackUp extends Error {}

const STDOUT = 1

if (import.meta.main) {
  try {
    await run(process.argv[2], process.env)
  } catch (error) {
    const sentence = inWords(error)
    if (sentence === null) throw error
    process.stderr.write(`${sentence}\n`)
    process.exitCode = 1
  }
}

async function run(target: string | undefined, env: Record<string, string | undefined>): Promise<void> {
  if (!target) throw new CannotBackUp('Say where the backup goes: npm run backup -- FILE (or - for standard output).')
  const url = env['MIGRATION_DATABASE_URL'] || env['DATABASE_URL']
  if (!url) throw new CannotBackUp('DATABASE_URL is missing: set it to the database of the installation.')
  const client = new pg.Client({ connectionString: url, application_name: 'mobilesms_backup' })
  // Whatever is being asked then fails and says so.
  client.on('error', () => {})
  await client.connect()
  try {
    if (target === '-') {
      const say = (sentence: string) => process.stderr.write(`${sentence}\n`)
      say(await writeTo(client, STDOUT, say))
    } else {
      const say = (sentence: string) => process.stdout.write(`${sentence}\n`)
      say(await intoFile(client, target, say))
    }
  } finally {
    await client.end()
  }
}

/**
 * Under another name until it is whole, on the disk, and was read back: what bears the name of a backup is one. Answers what was done.
 */
async function intoFile(client: pg.Client, target: string, say: (sentence: string) => void): Promise<string> {
  const taken = () =>
    new CannotBackUp(`${target} is there already: give another name. A backup never takes another's place.`)
  if (existsSync(target)) throw taken()
  removeLeftBehind(target)
  const draft = `${target}.${process.pid}.incomplete`
  const fd = openSync(draft, 'wx', 0o600)
  let made: string
  try {
    try {
      made = await writeTo(client, fd, say)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    readBack(draft)
    if (existsSync(target)) throw taken()
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
  const folder = openSync(dirname(target), 'r')
  fsyncSync(folder)
  closeSync(folder)
  return `${made} It was read back whole: ${target}`
}

/** What a backup to the same name left when it was killed. */
function removeLeftBehind(target: string): void {
  for (const name of readdirSync(dirname(target))) {
    const [, pid] =
      /^\.(\d+)\.incomplete$/.exec(name.startsWith(basename(target)) ? name.slice(basename(target).length) : '') ?? []
    if (pid && !isAlive(Number(pid))) rmSync(join(dirname(target), name), { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function readBack(file: string): void {
  const fd = openSync(file, 'r')
  try {
    for (const _ of readBackup(fd));
  } finally {
    closeSync(fd)
  }
}

/** The whole of it, from one snapshot. Answers what was done. */
async function writeTo(client: pg.Client, fd: number, say: (sentence: string) => void): Promise<string> {
  await settleText(client)
  const { rows: found } = await client.query<{ there: boolean; unfinished: boolean }>(
    `select to_regclass('public.installation') is not null as there, to_regclass('public.unfinished_restore') is not null as unfinished`,
  )
  if (!found[0]!.there) throw new CannotBackUp('There is nothing of MobileSMS in this database: check DATABASE_URL.')
  if (found[0]!.unfinished)
    throw new CannotBackUp('This database is half restored itself: there is nothing in it to keep.')

  const known = await tablesOf(client)
  await client.query('begin transaction isolation level repeatable read read only')
  // Before the snapshot is taken, which is with the first look: from here on no migration changes what a table is. Nobody else waits.
  await client.query(`lock table ${known.map(quoted).join(', ')} in access share mode`)
  const seen = await tablesOf(client)
  if (JSON.stringify(seen) !== JSON.stringify(known))
    throw new CannotBackUp('The tables changed while the backup began: run it again.')

  const tables: Table[] = []
  for (const table of seen) {
    const { rows } = await client.query<{ n: string }>(`select count(*) as n from ${quoted(table)}`)
    tables.push({ ...table, rows: Number(rows[0]!.n) })
  }
  const total = tables.reduce((sum, { rows }) => sum + rows, 0)
  say(`Backing up ${tables.length} tables with ${count(total)} rows.`)

  const writer = createWriter(fd)
  const { rows: about } = await client.query(
    `select to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as made_at, (select mode from installation) as mode,
            current_setting('server_version') as postgres`,
  )
  const { rows: migrations } = await client.query('select name, checksum from migrations order by name')
  writer.header({ format: FORMAT, ...about[0], migrations, tables })
  const progress = createProgress(total, say)
  for (const table of tables) {
    writer.table(table)
    let lines = 0
    const columns = table.columns.map(quote).join(', ')
    const rows = await copyOut(client, `copy (select ${columns} from ${quoted(table)}) to stdout`, (piece) => {
      writer.rows(piece)
      const more = linesIn(piece)
      lines += more
      progress(more, printTable(table))
    })
    if (rows !== table.rows || lines !== rows)
      throw new Error(`${printTable(table)} has ${table.rows} rows, and ${rows} were copied in ${lines} lines`)
  }
  // Sequences stand outside of snapshots. Asked last, they are beyond every row that was copied.
  writer.end({ sequences: await sequencesOf(client), figures: await figuresOf(client) })
  await client.query('commit')
  return `Backed up ${tables.length} tables, ${count(total)} rows, as they were at ${about[0].made_at}: ${count(Math.ceil(writer.written() / 1024))} kB, with its checksum.`
}

/** What the operator must do, where it is not a bug. */
function inWords(error: unknown): string | null {
  if (error instanceof CannotBackUp) return `${error.message} No backup was made.`
  // What was written was read back and found wanting.
  if (error instanceof CannotRestore)
    return 'The backup could not be read back as it was written: check the disk. No backup was made.'
  const { code, message } = error as { code?: string; message: string }
  if (code === 'EPIPE') return 'Whoever read the backup stopped reading. No backup was made.'
  if (/^(ENOSPC|EDQUOT|EFBIG|EIO|EACCES|EPERM|ENOENT|ENOTDIR|EISDIR|EROFS)$/.test(code ?? ''))
    return `The file cannot be written (${message}): give another place. No backup was made.`
  if (/^(E[A-Z]+|08...|57P0.|28...|3D000|42501)$/.test(code ?? '') || AWAY_IN_WORDS.test(message))
    return `The database cannot be used (${message}): check DATABASE_URL and that it runs. No backup was made.`
  return null
}
