/**
 * The benchmarks, on the cluster that BENCH_DATABASE_URL names (bin/bench.mjs starts it).
 *
 *   npm run bench [-- ledger] [--json] [--rounds N] [--accounts N] [--transfers N]
 *   npm run bench -- chain [--json] [--rounds N] [--blocks N]
 *
 * Progress goes to standard error, figures to standard output: a table, or one JSON document.
 */
import { parseArgs } from 'node:util'
import { benchChain } from './chain/chain.ts'
import { benchLedger } from './ledger/ledger.ts'

const options = {
  json: { type: 'boolean', default: false },
  rounds: { type: 'string', default: '5' },
  accounts: { type: 'string', default: '1000000' },
  transfers: { type: 'string', default: '10000000' },
  blocks: { type: 'string', default: '2000' },
} as const

const usage =
  'npm run bench -- ledger [--json] [--rounds 1..100] [--accounts 1000..100000000] [--transfers 10000..1000000000]; npm run bench -- chain [--json] [--rounds 1..100] [--blocks 10..100000]'

function refuse(sentence: string): never {
  process.stderr.write(`${sentence}\nUsage: ${usage}\n`)
  process.exit(2)
}

function whole(name: 'rounds' | 'accounts' | 'transfers' | 'blocks', text: string, from: number, to: number): number {
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
const [what = 'ledger', ...more] = positionals
if (more.length > 0 || (what !== 'ledger' && what !== 'chain'))
  refuse(`There is no benchmark ${positionals.join(' ')}: there are ledger and chain.`)

const size = {
  accounts: whole('accounts', values.accounts, 1_000, 100_000_000),
  transfers: whole('transfers', values.transfers, 10_000, 1_000_000_000),
}
const rounds = whole('rounds', values.rounds, 1, 100)
const program = process.env['PGBENCH']
const url = process.env['BENCH_DATABASE_URL']
if (!program || !url) refuse('Start it by npm run bench: it brings a PostgreSQL and finds pgbench.')

const blocks = whole('blocks', values.blocks, 10, 100_000)
const { figures, text } =
  what === 'chain' ? await benchChain({ url, rounds, blocks }) : await benchLedger({ url, program, size, rounds })
process.stdout.write(values.json ? `${JSON.stringify(figures, null, 2)}\n` : `${text}\n`)
