/**
 * anvil as a program of its own: a real EVM node, on loopback, on a port that it chooses. It mines when it is told to. It ends with
 * whoever started it, however that one ends.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'

const START_MILLISECONDS_MAX = 20_000
const STOP_MILLISECONDS_MAX = 3_000
const SAID_LENGTH_MAX = 16 * 1024
const ANSWER_MILLISECONDS_MAX = 60_000

/**
 * anvil does not notice when its parent dies. This shell does: its input is a pipe from there that nobody writes to, and that ends.
 * When anvil ends first, the shell ends with its code.
 */
const KEEPER = `exec 3<&0
"$@" 3<&- </dev/null &
anvil=$!
{ cat <&3; kill "$anvil"; } >/dev/null 2>&1 &
exec 3<&- </dev/null
wait "$anvil"`

export type Anvil = {
  url: string
  /** Throws in words what it refused. */
  call: <Result = unknown>(method: string, ...params: unknown[]) => Promise<Result>
  /** How it ended, in words. */
  ended: Promise<string>
  stop: () => Promise<void>
}

/**
 * Where the program is; null: there is none for this platform. Each platform's program is a package of its own; those of Linux on x64
 * are among ours, others can be added to package.json's optional dependencies where they are to be had.
 */
export function anvilProgram(platform = process.platform, architecture = process.arch): string | null {
  const name = `anvil-${platform}-${architecture === 'x64' ? 'amd64' : architecture}`
  try {
    const path = createRequire(import.meta.url).resolve(`@foundry-rs/${name}/bin/anvil`)
    return existsSync(path) ? path : null
  } catch {
    return null
  }
}

export async function startAnvil(wish: {
  chainId: number
  /** Of the accounts that it signs for. */
  mnemonic: string
  /** A file with a chain to go on from; where there is none, a new one begins. */
  from?: string
}): Promise<Anvil> {
  const program = anvilProgram()
  if (program === null) throw new Error(`There is no anvil for ${process.platform} on ${process.arch}`)
  const from = wish.from !== undefined && existsSync(wish.from) ? ['--load-state', wish.from] : []
  const child = spawn(
    '/bin/sh',
    // prettier-ignore
    [
      '-c',
      KEEPER,
      'sh',
      program,
      '--port',
      '0',
      '--no-mining',
      '--no-cors',
      '--threads',
      '1',
      '--chain-id',
      String(wish.chainId),
      '--hardfork',
      'prague',
      // Blocks are final two deep; without it no short chain ever has a final one.
      '--slots-in-an-epoch',
      '1',
      '--accounts',
      '2',
      '--mnemonic',
      wish.mnemonic,
      // Earlier moments live in memory: a chain of a desk or a test is short.
      '--max-persisted-states',
      '0',
      ...from,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  )
  let said = ''
  let tellPort: (port: number) => void = () => {}
  const port = new Promise<number>((tell) => {
    tellPort = tell
  })
  const hear = (part: Buffer) => {
    // Nothing more is read from it, but a pipe that nobody empties stops whoever writes.
    if (said.length > SAID_LENGTH_MAX) return
    said += part
    const listening = /Listening on 127\.0\.0\.1:(\d+)/.exec(said)
    if (listening) tellPort(Number(listening[1]))
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  child.stdin.on('error', () => {})
  const ended = new Promise<string>((tell) => {
    child.once('error', (error) => tell(error.message))
    child.once('exit', (code, by) => {
      child.stdin.destroy()
      tell(by ?? `exit code ${code}`)
    })
  })
  let patience: NodeJS.Timeout | undefined
  const first = await Promise.race([
    port,
    ended,
    new Promise<string>((tell) => {
      patience = setTimeout(tell, START_MILLISECONDS_MAX, `no answer in ${START_MILLISECONDS_MAX / 1000} seconds`)
    }),
  ])
  clearTimeout(patience)
  if (typeof first === 'string') {
    child.stdin.destroy()
    throw new Error(`anvil did not start (${first}): ${said.replace(/\s+/g, ' ').slice(-300)}`)
  }
  const url = `http://127.0.0.1:${first}`
  let lastId = 0

  return {
    url,
    ended,
    async call<Result>(method: string, ...params: unknown[]): Promise<Result> {
      const answered = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: ++lastId, method, params }),
        signal: AbortSignal.timeout(ANSWER_MILLISECONDS_MAX),
      })
      const { result, error } = (await answered.json()) as { result: Result; error?: { message: string } }
      if (error) throw new Error(`anvil refused ${method}: ${error.message}`)
      return result
    },
    async stop() {
      // The end of its input is the word to end.
      child.stdin.destroy()
      const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MILLISECONDS_MAX)
      await ended
      clearTimeout(patience)
    },
  }
}
