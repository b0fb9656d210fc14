/** A program of the product that a person runs by hand, in a process of its own, with these settings and no others. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const CHECKOUT = join(import.meta.dirname, '..')

/** `program`: its file, from the checkout. `said`: all that it wrote, to either stream. */
export async function runProgram(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [join(CHECKOUT, program), ...args], {
    env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '', ...env },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk))
  const [code] = await once(child, 'close')
  return { code: code as number, said }
}

/** `npm run reconcile`. */
export const reconcileByHand = (what: string, env: Readonly<Record<string, string>>) =>
  runProgram('server/staff/reconcile.ts', [what], env)
