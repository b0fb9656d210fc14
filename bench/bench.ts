/**
 * The benchmarks, on the cluster that BENCH_DATABASE_URL names (bin/bench.mjs starts it).
 *
 *   npm run bench [-- ledger] [--json] [--rounds N] [--accounts N] [--transfers N]
 *
 * Progress goes to standard error, figures to standard output: a table, or one JSON document.
 */
import { parseArgs } from 'node:util'
import { benchLedger } from './ledger/ledger.ts'

const options = {
  json: { type: 'boolean', default: false },
  rounds: { type: 'string', default: '5' },
  accounts: { type: 'string', default: '1000000' },
  transfers: { type: 'string', default: '10000000' },
} as const

const usage =
  'npm run bench -- ledger [--json] [--rounds 1..100] [--accounts 1000..100000000] [--transfers 10000..1000000000]'

function refuse(sentence: string): never {
  process.stderr.write(`${sentence}\nUsage: ${usage}\n`)
  process.exit(2)
}

function whole(name: 'rounds' | 'accounts' | 'transfers', text: string, from: number, to: number): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < from || number > to)
    refuse(`--${name} is ${text}: give a whole number from ${from} to ${to}.`)
  return number
}

function read() {
  try {
    return parseArgs({ options, allowPositionals: true })
  } catch (error) {
    return refuse((error as Error).message)
  }
}

const { values, positionals } = read()
if (positionals.some((name) => name !== 'ledger'))
  refuse(`There is no benchmark ${positionals.join(' ')}: there is ledger.`)

const size = {
  accounts: whole('accounts', values.accounts, 1_000, 100_000_000),
  transfers: whole('transfers', values.transfers, 10_000, 1_000_000_000),
}
const rounds = whole('rounds', values.rounds, 1, 100)
const program = process.env['PGBENCH']
const url = process.env['BENCH_DATABASE_URL']
if (!program || !url) refuse('Start it by npm run bench: it brings a PostgreSQL and finds pgbench.')

const { figures, text } = await benchLedger({ url, program, size, rounds })
process.stdout.write(values.json ? `${JSON.stringify(figures, null, 2)}\n` : `${text}\n`)
