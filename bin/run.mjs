#!/usr/bin/env node
/**
 * The launcher: plain JavaScript for whatever Node the machine has. It installs what is missing and runs everything
 * else with the pinned Node.
 *
 *   npm start                  the product and its outside world
 *   npm test                   every check and test; `npm test -- <path or pattern>`: these tests only
 *   npm run check              types, lint, format, unused code, architecture
 *   npm run canaries           plants known bugs, and says which of them the tests find; `-- <part of a name>`: these only
 *   npm run mutants            changes the ledger in hundreds of small ways, and says which of them its tests find
 *   npm run faults             kills the server and PostgreSQL under load; `-- --kills 500 --seed 7`; or delivers the bank's events
 *                              twenty times, out of order, or never; `-- --webhooks 10000 --seed 7`
 *   npm run audit              proves the ledger of the configured database
 *   npm run backup -- FILE     copies the configured database into a file, while it is used
 *   npm run restore -- FILE    fills an empty database from it
 *   npm run bench              the figures of the benchmarks; `-- --json` for machines
 *   npm run reconcile -- card  compares the books with the card company's, and names what does not fit; -- crypto: with the chains
 *   npm run crypto -- keys     the first addresses, to compare with the wallet; `addresses`, `sweep`: what was given out, what lies where
 *   npm run staff -- create    makes a login for a member of staff
 *   node bin/run.mjs database  for work by hand: a PostgreSQL that stays, and its TEST_DATABASE_URL
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Node ${process.versions.node} is too old: install Node 20.19 or newer (nodejs.org), then start again.`)
  process.exit(1)
}
const { main } = await import('./main.mjs')
await main(process.argv[2], process.argv.slice(3))
