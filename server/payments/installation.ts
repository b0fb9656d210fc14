import type { Database } from '../platform/db.ts'

/** What tells this installation's objects from another's, where both have the same account at the card company. */
export function createInstallation(database: Database): () => Promise<string> {
  let known: string | null = null
  return async () => {
    known ??= (await database.pool.query<{ id: string }>('select id from installation')).rows[0]!.id
    return known
  }
}
