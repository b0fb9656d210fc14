/**
 * `node bin/run.mjs database`: a PostgreSQL for work by hand, in a data folder of its own, until Ctrl-C.
 */
import { join } from 'node:path'
import { endWith, keepLock, withCrew } from './crew.mjs'
import { dataFolder } from './folders.mjs'
import { holdData } from './hold.mjs'
import { checkPlatform, preparePackages } from './install.mjs'
import { runningUrl, startCluster } from './postgres.mjs'
import { begin, done, line } from './say.mjs'

/** @returns {Promise<number>} the exit code */
export async function database() {
  checkPlatform()
  return withCrew(async () => {
    const folder = join(dataFolder(process.env), 'by-hand')
    const held = await holdData(folder, { verb: 'database' })
    if (!held.ok) {
      line(`Already running in process ${held.holder.pid}.`)
      line(`TEST_DATABASE_URL=${runningUrl(folder, 'postgres') ?? ''}`)
      return 0
    }
    keepLock(held.lock)
    keepLock(await preparePackages('database'))
    begin('Database', 'starting')
    const cluster = await startCluster({
      folder,
      connectionsMax: 300,
      onLost: (sentence) => endWith({ code: 1, sentence }),
    })
    done(`PostgreSQL ${cluster.version} at 127.0.0.1:${cluster.port}`)
    line(`TEST_DATABASE_URL=${cluster.url('postgres')}`)
    return 'stay'
  })
}
