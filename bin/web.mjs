/**
 * The web front, built when anything it is made of has changed.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runQuietly } from './crew.mjs'
import { checkout } from './folders.mjs'
import { childEnvironment, pinnedNode } from './install.mjs'
import { begin, done, Refusal, seconds } from './say.mjs'

/** Where the server finds the built pages. */
export const webFolder = join(checkout, 'dist', 'web')

const ingredients = ['web', 'contract', 'package-lock.json']

/** Builds beside the old pages and puts the new ones in their place whole. */
export async function buildWeb() {
  const since = performance.now()
  begin('Pages', 'building')
  let weight = ''
  const stamp = stampOf(ingredients)
  const stampFile = join(webFolder, '.stamp')
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
    done('as built before')
    return
  }
  const draft = `${webFolder}.${process.pid}.draft`
  const old = `${webFolder}.${process.pid}.old`
  try {
    const built = await runQuietly(
      pinnedNode,
      [
        join('node_modules', 'vite', 'bin', 'vite.js'),
        'build',
        'web',
        '--outDir',
        draft,
        '--emptyOutDir',
        '--logLevel',
        'warn',
      ],
      // A development build of React is three times as large, and the machine's NODE_ENV would choose it.
      { cwd: checkout, env: { ...childEnvironment(process.env), NODE_ENV: 'production' } },
    )
    if (built.code !== 0)
      throw new Refusal(
        `The pages cannot be built: correct what it says and start again.\n${built.output.trim().split('\n').slice(-30).join('\n')}`,
      )
    weight = /^First load: .*/m.exec(built.output)?.[0] ?? ''
    writeFileSync(join(draft, '.stamp'), stamp)
    if (existsSync(webFolder)) renameSync(webFolder, old)
    renameSync(draft, webFolder)
  } finally {
    rmSync(draft, { recursive: true, force: true })
    rmSync(old, { recursive: true, force: true })
  }
  done([`built in ${seconds(since)}`, weight].filter(Boolean).join('. '))
}

/** @param {string[]} paths below the checkout, files or folders */
function stampOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths) {
    for (const file of filesIn(path))
      hash
        .update(`${file}\0`)
        .update(readFileSync(join(checkout, file)))
        .update('\0')
  }
  return hash.digest('hex')
}

/** @param {string} path below the checkout @returns {string[]} */
function filesIn(path) {
  const entries = existsSync(join(checkout, path)) ? readdirEntries(path) : []
  return entries === null ? [path] : entries.flatMap((name) => filesIn(join(path, name)))
}

/** @param {string} path @returns {string[] | null} the names in a folder, sorted; null for a file */
function readdirEntries(path) {
  try {
    return readdirSync(join(checkout, path)).sort()
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOTDIR') return null
    throw error
  }
}
