/** A database that says nothing any more is trouble that passes, not a wait without end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freshDatabase } from '../../test/database.ts'
import { openWire } from '../../test/wire.ts'
import { openDatabase } from './db.ts'

test('whoever asks a connection that fell silent is told so, and the next one gets another connection', async () => {
  const db = await freshDatabase()
  const between = await openWire(db.url)
  const database = openDatabase({
    url: between.url,
    role: 'mobilesms_app',
    connectionsMax: 1,
    onIdleError: () => {},
    // Much longer than a machine with other things to do takes for an answer, or a new connection.
    answerMsMax: 1_500,
  })
  try {
    await database.pool.query('select 1')
    between.nextCall('silence')
    await assert.rejects(database.pool.query('select 1'), /timeout/)
    assert.deepEqual((await database.pool.query('select 1 as one')).rows, [{ one: 1 }])
    // In the middle of a transaction too; what it began is rolled back where nobody hears of it.
    await assert.rejects(
      database.transaction(async (tx) => {
        between.nextCall('silence')
        await tx.query('select 1')
      }),
      /timeout/,
    )
    assert.deepEqual((await database.pool.query('select 1 as one')).rows, [{ one: 1 }])
  } finally {
    await database.close()
    await between.close()
    await db.close()
  }
})
