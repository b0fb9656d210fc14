/** Which mutants of TypeScript files would not have compiled: all of one file at once, each under a name of its own beside it. */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Mutant, mutate } from './operators.ts'

/** Nothing that is used, or reached, any more is no mistake of a mutant's. */
const ALLOWED = /error TS(?:6133|6192|6196|6198|7027|2578)\b/

/** In `folder`, a copy of the checkout. Those that do not compile, and why. */
export function notViable(folder: string, mutants: Mutant[]): Map<Mutant, string> {
  const wrong = new Map<Mutant, string>()
  if (mutants.length === 0) return wrong
  const { file } = mutants[0]!
  const text = readFileSync(join(folder, file), 'utf8')
  const names = mutants.map((_, index) => file.replace(/\.ts$/, `.mutant${index}.ts`))
  const config = join(folder, 'tsconfig.mutants.json')
  try {
    for (const [index, mutant] of mutants.entries()) writeFileSync(join(folder, names[index]!), mutate(text, mutant))
    writeFileSync(config, JSON.stringify({ extends: './tsconfig.json', include: [], files: names }))
    const ran = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', config, '--pretty', 'false'], {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    })
    for (const line of ran.stdout.split('\n')) {
      const index = Number(/\.mutant(\d+)\.ts\(/.exec(line)?.[1] ?? -1)
      if (index >= 0 && !ALLOWED.test(line))
        wrong.set(mutants[index]!, wrong.get(mutants[index]!) ?? line.replace(/^.*?error /, ''))
      else if (index < 0 && / error TS/.test(line)) throw new Error(`The unchanged checkout does not compile: ${line}`)
    }
    return wrong
  } finally {
    for (const name of [...names, config]) rmSync(name === config ? config : join(folder, name), { force: true })
  }
}
