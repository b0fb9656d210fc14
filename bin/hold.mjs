/**
 * The lock of a data folder: one launcher at a time works in it.
 */
import { join } from 'node:path'
import { endLeftBehind } from './crew.mjs'
import { makeFolder, reasonOf } from './folders.mjs'
import { claim } from './locks.mjs'
import { Refusal } from './say.mjs'

/** @typedef {import('./locks.mjs').Holder} Holder */

/**
 * Takes the data folder, after the programs of a launcher that died in it have ended.
 * @param {string} folder made when missing
 * @param {import('./locks.mjs').About} about
 * @returns {Promise<{ ok: true, lock: import('./locks.mjs').Lock } | { ok: false, holder: Holder }>}
 */
export async function holdData(folder, about) {
  makeFolder(folder)
  try {
    const claimed = await claim(join(folder, 'lock'), 'exclusive', about, endLeftBehind)
    if (claimed.ok) return claimed
    return { ok: false, holder: /** @type {Holder} */ (claimed.holders[0]) }
  } catch (error) {
    throw new Refusal(
      `Cannot write to ${folder} (${reasonOf(error)}): set DATA_DIR to a folder that this user may write.`,
    )
  }
}
