/**
 * The keys of the sandbox, so that `npm start` offers crypto without anybody's wallet: public keys of seeds that the whole world knows.
 * Whatever really arrives on their addresses is anybody's, so a production start refuses them.
 */
import type { Family } from './assets.ts'
import { readKey } from './descriptor.ts'

export const sandboxKeys: Readonly<Record<Family, string>> = {
  // Source: BIP-84's seed (abandon … about), m/84'/1'/0' and m/84'/1'/1': all test networks share the number 1.
  btc: 'vpub5Y6cjg78GGuNLsaPhmYsiw4gYX3HoQiRBiSwDaBXKUafCt9bNwWQiitDk5VZ5BVxYnQdwoTyXSs2JHRPAgjAvtbBrf8ZhDYe2jWAqvZVnsc',
  ltc: 'vpub5Y6cjg78GGuNQePrLecqwMCGL7x8YYGFKqN5LCciiMAuXWPjwsX9pvXhqKJdkzDeoE9xvFGM1j6cVLPqHEVDK5idBAye5LzWyqxjXcen358',
  // Source: the seed of every development node (test … junk), m/44'/60'/0', written as a key of a test network.
  evm: 'tpubDD1mtr8cB1zZEgXJJVKf39TKDoFjd2hi6Vi9nxwzzbpWUNrgU7hmJJswj4L9mqM2T3EYyxZ7orUXr2SHPnQcL4XMNQ7qBQBV8Q9M3sRQNAT',
}

const identities: ReadonlySet<string> = new Set(
  (Object.keys(sandboxKeys) as Family[]).map((family) => {
    const read = readKey(family, 'test', sandboxKeys[family])
    if (!read.ok) throw new Error(`The sandbox's key of ${family} ${read.why}`)
    return read.key.identity
  }),
)

/** Whether this is one of them, in whatever writing. */
export function isSandboxKey(identity: string): boolean {
  return identities.has(identity)
}
