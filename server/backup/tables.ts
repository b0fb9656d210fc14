/** What of a database is in a backup, and how it is known again. */
import type pg from 'pg'
import { count, type End, type Table } from './file.ts'

/** The schemas of the house. The queue's own is left out: its jobs are made again from the inbox and the top-ups (decision 0014). */
const SCHEMAS = ['public', 'auth']
/** What the start of a server writes by itself, as its version wants it. */
const WRITTEN_BY_THE_START = ['public.migrations', 'public.function_files', 'public.unfinished_restore']

/**
 * Every table with its columns, those that are referred to first. Without unlogged tables, which a crash may empty as well, and
 * without what belongs to extensions.
 */
export async function tablesOf(client: pg.Client): Promise<Omit<Table, 'rows'>[]> {
  const { rows } = await client.query<Omit<Table, 'rows'> & { refers_to: string[] }>(
    `select n.nspname as schema, c.relname as name,
            array(select a.attname::text from pg_attribute a
                   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                   order by a.attnum) as columns,
            array(select distinct rn.nspname || '.' || r.relname from pg_constraint f
                    join pg_class r on r.oid = f.confrelid join pg_namespace rn on rn.oid = r.relnamespace
                   where f.conrelid = c.oid and f.contype = 'f' and r.oid <> c.oid) as refers_to
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any ($1)
        and c.relkind in ('r', 'p')
        and c.relpersistence = 'p'
        and not c.relispartition
        and n.nspname || '.' || c.relname <> all ($2)
        and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
      order by 1, 2`,
    [SCHEMAS, WRITTEN_BY_THE_START],
  )
  const left = new Map(rows.map((row) => [printTable(row), row]))
  const sorted: Omit<Table, 'rows'>[] = []
  while (left.size > 0) {
    const free = [...left.values()].filter((row) => row.refers_to.every((other) => !left.has(other)))
    if (free.length === 0)
      throw new Error(`These tables refer to one another in a circle: ${[...left.keys()].join(', ')}`)
    for (const row of free) {
      sorted.push({ schema: row.schema, name: row.name, columns: row.columns })
      left.delete(printTable(row))
    }
  }
  return sorted
}

export async function sequencesOf(client: pg.Client): Promise<End['sequences']> {
  const { rows } = await client.query<End['sequences'][number]>(
    `select schemaname as schema, sequencename as name, last_value::text as last
       from pg_sequences where schemaname = any ($1) order by 1, 2`,
    [SCHEMAS],
  )
  return rows
}

/** The ledger in a few sums. Whole micro-dollars, as text. */
export async function figuresOf(client: pg.Client): Promise<End['figures']> {
  const { rows } = await client.query<{ figures: End['figures'] }>(
    `select jsonb_build_object(
              'accounts', (select jsonb_build_object('number', count(*), 'credits', sum(credits)::text, 'debits', sum(debits)::text,
                                  'held', sum(held)::text, 'frozen', sum(frozen)::text, 'owed', sum(owed)::text)
                             from ledger_accounts),
              'transfers', (select jsonb_build_object('number', count(*), 'amount', sum(amount)::text) from transfers),
              'open_holds', (select jsonb_build_object('number', count(*), 'amount', sum(amount)::text) from open_holds),
              'platform', (select jsonb_agg(jsonb_build_array(platform, code, debits::text, credits::text, entries) order by platform, code)
                             from platform_totals)) as figures`,
  )
  return rows[0]!.figures
}

/** What the text of a row depends on, the same wherever it is written and read. */
export async function settleText(client: pg.Client): Promise<void> {
  await client.query(
    `set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set extra_float_digits = 1;
     set bytea_output = 'hex'; set client_encoding = 'UTF8'; set statement_timeout = 0; set lock_timeout = 0;
     set idle_in_transaction_session_timeout = 0`,
  )
}

export function printTable({ schema, name }: { schema: string; name: string }): string {
  return `${schema}.${name}`
}

/** As it stands in a statement. */
export function quoted(table: { schema: string; name: string }): string {
  return `${quote(table.schema)}.${quote(table.name)}`
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Tells how far it is, at every tenth. */
export function createProgress(total: number, say: (sentence: string) => void) {
  let done = 0
  let told = 0
  return (rows: number, table: string) => {
    done += rows
    const tenths = total === 0 ? 10 : Math.floor((done / total) * 10)
    if (tenths <= told || tenths >= 10) return
    told = tenths
    say(`  ${tenths * 10} %: ${count(done)} of ${count(total)} rows, in ${table}`)
  }
}

/** A row is a line in COPY's text format, whatever is in it. */
export function linesIn(piece: Buffer): number {
  let lines = 0
  for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) lines++
  return lines
}
