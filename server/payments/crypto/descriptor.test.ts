/** Which keys are taken, by the vectors of the standards, and which are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '@noble/hashes/sha2.js'
import { base58check } from '@scure/base'
import { addressOf, readAddress } from './address.ts'
import type { Environment, Family } from './assets.ts'
import { descriptorChecksum, exportedKey, keyOf, readKey } from './descriptor.ts'
import { isSandboxKey, sandboxKeys } from './sandbox-keys.ts'

// Of the seed "abandon … about", whose addresses BIP-84, BIP-86 and wallets' own tests print; Ethereum's of "test … junk".
const BIP44 =
  'xpub6BosfCnifzxcFwrSzQiqu2DBVTshkCXacvNsWGYJVVhhawA7d4R5WSWGFNbi8Aw6ZRc1brxMyWMzG3DSSSSoekkudhUd9yLb6qx39T9nMdj'
const BIP49 =
  'ypub6Ww3ibxVfGzLrAH1PNcjyAWenMTbbAosGNB6VvmSEgytSER9azLDWCxoJwW7Ke7icmizBMXrzBx9979FfaHxHcrArf3zbeJJJUZPf663zsP'
const BIP84 =
  'zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs'
const BIP84_X =
  'xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V'
const BIP86 =
  'xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ'
const ETHEREUM =
  'xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP'
const LITECOIN =
  'zpub6rPo5mF47z5coVm5rvWv7fv181awb7Vckn5Cf3xQXBVKu18kuBHDhNi1Jrb4br6vVD3ZbrnXemEsWJoR18mZwkUdzwD8TQnHDUCGxqZ6swA'
const MTUB =
  'Mtub2rz9F1pkisRsSZX8sa4Ajon9GhPP6JymLgpuHqbYdU5JKFLBF7Qy8b1tZ3dccj2fefrAxfrPdVkpCxuWn3g72UctH2bvJRkp6iFmp8aLeRZ'
const UPUB =
  'upub5EFU65HtV5TeiSHmZZm7FUffBGy8UKeqp7vw43jYbvZPpoVsgU93oac7Wk3u6moKegAEWtGNF8DehrnHtv21XXEMYRUocHqguyjknFHYfgY'
const ROOT =
  'xpub661MyMwAqRbcFkPHucMnrGNzDwb6teAX1RbKQmqtEF8kK3Z7LZ59qafCjB9eCRLiTVG3uxBxgKvRgbubRhqSKXnGGb1aoaqLrpMBDrVxga8'
const BRANCH =
  'xpub6FPnz8nd9KHwrramFPiKretTQ6o7o7JdjjjuVgm9ByvK69i9sfZsTgHSr59PqHcg5E4CmCDbpZ1azNws6XaVNs4Tc9cUwgKQqZmUBoK3xUt'
const XPRV =
  'xprv9ybY78BftS5UGANki6oSifuQEjkpyAC8ZmBvBNTshQnCBcxnefjHS7buPMkkqhcRzmoGZ5bokx7GuyDAiktd5HemohAU4wV1ZPMDRmLpBMm'
const ZPRV =
  'zprvAdG4iTXWBoARxkkzNpNh8r6Qag3irQB8PzEMkAFeTRXxHpbF9z4QgEvBRmfvqWvGp42t42nvgGpNgYSJA9iefm1yYNZKEm7z6qUWCroSQnE'
/** The private key once more, with the first letters of a public one. */
const DISGUISED =
  'zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfGxpCvh4sDnUsxUurM2ZqHyz63pDCRcc94Nsh65w32hMjxybA4Hv'

/** The same key with another version. */
function withVersion(key: string, version: number): string {
  const bytes = Buffer.from(base58check(sha256).decode(key))
  bytes.writeUInt32BE(version, 0)
  return base58check(sha256).encode(bytes)
}

const taken: [what: string, family: Family, environment: Environment, text: string, first: string, second?: string][] =
  [
    ['BIP-44 xpub', 'btc', 'main', BIP44, '1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA', '1Ak8PffB2meyfYnbXZR9EGfLfFZVpzJvQP'],
    ['BIP-49 ypub', 'btc', 'main', BIP49, '37VucYSaXLCAsxYyAPfbSi9eh4iEcbShgf', '3LtMnn87fqUeHBUG414p9CWwnoV6E2pNKS'],
    [
      'BIP-84 zpub',
      'btc',
      'main',
      BIP84,
      'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu',
      'bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g',
    ],
    ['a descriptor of it', 'btc', 'main', `wpkh(${BIP84_X}/0/*)`, 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu'],
    [
      'with its origin',
      'btc',
      'main',
      `wpkh([73c5da0a/84'/0'/0']${BIP84_X}/0/*)`,
      'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu',
    ],
    [
      'with both branches',
      'btc',
      'main',
      `wpkh([73C5DA0A/84h/0H/0h]${BIP84_X}/<0;1>/*)`,
      'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu',
    ],
    [
      'BIP-86 tr()',
      'btc',
      'main',
      `tr([73c5da0a/86h/0h/0h]${BIP86}/0/*)`,
      'bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr',
      'bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh',
    ],
    ['pkh() of the BIP-44 key', 'btc', 'main', `pkh(${BIP44}/0/*)`, '1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA'],
    [
      'sh(wpkh()) of the BIP-49 key',
      'btc',
      'main',
      `sh(wpkh(${withVersion(BIP49, 0x0488b21e)}/0/*))`,
      '37VucYSaXLCAsxYyAPfbSi9eh4iEcbShgf',
    ],
    ['spaces around it', 'btc', 'main', ` ${BIP84}\n`, 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu'],
    ['its receiving branch by hand', 'btc', 'main', `${BIP84}/0/*`, 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu'],
    ['a Litecoin zpub', 'ltc', 'main', LITECOIN, 'ltc1qjmxnz78nmc8nq77wuxh25n2es7rzm5c2rkk4wh'],
    ['a key of Ethereum', 'evm', 'main', ETHEREUM, '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'],
    [
      'a key of Ethereum with its origin',
      'evm',
      'main',
      `[16a93ed0/44h/60h/0h]${ETHEREUM}/0/*`,
      '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
      '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
    ],
    ["the sandbox's", 'btc', 'test', sandboxKeys.btc, 'bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk'],
    ["the sandbox's Litecoin", 'ltc', 'test', sandboxKeys.ltc, 'rltc1qp7shgcwx3mpzgxjvff0d77vuhchcldzfc7vz68'],
    ["the sandbox's Ethereum", 'evm', 'test', sandboxKeys.evm, '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'],
  ]
for (const [what, family, environment, text, first, second] of taken) {
  test(`a key gives the addresses that wallets give: ${what}`, () => {
    const read = readKey(family, environment, text)
    assert.ok(read.ok, read.ok ? '' : read.why)
    const found = addressOf(read.key, 0)
    assert.equal(found.address, first)
    if (second) assert.equal(addressOf(read.key, 1).address, second)
    assert.deepEqual(readAddress(family, environment, first), { address: first, script: found.script })
    // What is stored and what a setting is read as is the same key again.
    assert.equal(keyOf(family, read.key.descriptor).identity, read.key.identity)
    assert.equal(keyOf(family, read.key.withOrigin).descriptor, read.key.descriptor)
  })
}

test('the same key is the same row, however it was written', () => {
  const written = [BIP84, `wpkh(${BIP84_X}/0/*)`, `wpkh([73c5da0a/84h/0h/0h]${BIP84_X}/<0;1>/*)`]
  const rows = written.map((text) => {
    const read = readKey('btc', 'main', text)
    return read.ok && read.key.descriptor
  })
  assert.equal(new Set(rows).size, 1)
})

const refused: [what: string, family: Family, environment: Environment, text: string, why: RegExp][] = [
  ['a private key', 'btc', 'main', XPRV, /^has a private key in it\. Nobody may see that/],
  ['a private key by its other name', 'btc', 'main', ZPRV, /^has a private key in it/],
  ['a private key that says it is public', 'btc', 'main', DISGUISED, /^has a private key in it/],
  ['a private key in a descriptor', 'btc', 'main', `wpkh([73c5da0a/84h/0h/0h]${XPRV}/0/*)`, /^has a private key in it/],
  ['a damaged private key', 'btc', 'main', XPRV.slice(0, -3), /^has a private key in it/],
  [
    "a single address's private key",
    'btc',
    'main',
    '5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ',
    /^has a private key in it/,
  ],
  ['a private key of Ethereum', 'evm', 'main', `0x${'ac'.repeat(32)}`, /^has a private key in it/],
  ['the words of a wallet', 'btc', 'main', `${'abandon '.repeat(11)}about`, /^has a private key in it/],
  [
    'a wrong letter',
    'btc',
    'main',
    `${BIP84.slice(0, 40)}A${BIP84.slice(41)}`,
    /^has a key whose checksum does not fit/,
  ],
  ['a letter too few', 'btc', 'main', BIP84.slice(0, -1), /^has a key whose checksum does not fit/],
  [
    'a wrong checksum of a descriptor',
    'btc',
    'main',
    `wpkh(${BIP84_X}/0/*)#qqqqqqqq`,
    /^has a descriptor whose checksum/,
  ],
  [
    'the root of a wallet',
    'btc',
    'main',
    ROOT,
    /^has a key of depth 0, the root of the whole wallet: give that of an acc/,
  ],
  ['a branch of an account', 'btc', 'main', BRANCH, /^has a key of depth 4: give that of an account, of depth 3/],
  ['a test key in production', 'btc', 'main', UPUB, /^is a key of a test network \(upub…\) and MODE is production/],
  ['a key for real money in a sandbox', 'btc', 'test', BIP84, /^is a key for real money \(zpub…\) and MODE is sandbox/],
  ["Ethereum's for real money in a sandbox", 'evm', 'test', ETHEREUM, /^is a key for real money \(xpub…\)/],
  ["Litecoin's for Bitcoin", 'btc', 'main', MTUB, /^is a key of Litecoin: give one of Bitcoin/],
  [
    "Bitcoin's path for Litecoin",
    'ltc',
    'main',
    `wpkh([73c5da0a/84h/0h/0h]${BIP84_X}/0/*)`,
    /^has a key that lies at the path of another network: the second number of Litecoin's is 2h/,
  ],
  [
    'an origin of another account',
    'btc',
    'main',
    `wpkh([73c5da0a/84h/0h/1h]${BIP84_X}/0/*)`,
    /^has a key that does not lie at the path written before it/,
  ],
  [
    'an origin too short',
    'btc',
    'main',
    `wpkh([73c5da0a/84h]${BIP84_X}/0/*)`,
    /^has a key that does not lie at the path/,
  ],
  [
    'hardened children',
    'btc',
    'main',
    `wpkh(${BIP84_X}/0/*h)`,
    /^asks for hardened children, which no public key can make/,
  ],
  ['a hardened branch', 'btc', 'main', `wpkh(${BIP84_X}/0'/*)`, /^asks for hardened children/],
  ['the branch for change', 'btc', 'main', `wpkh(${BIP84_X}/1/*)`, /^has another path after the key than \/0\/\*/],
  ['a descriptor without a path', 'btc', 'main', `wpkh(${BIP84_X})`, /^has another path after the key than/],
  ['one fixed address', 'btc', 'main', `wpkh(${BIP84_X}/0/0)`, /^has another path after the key than/],
  [
    'several keys',
    'btc',
    'main',
    `wsh(multi(2,${BIP84_X}/0/*,${BIP44}/0/*))`,
    /^has a descriptor of a kind that is not/,
  ],
  ['several keys in tr()', 'btc', 'main', `tr(${BIP86}/0/*,pk(${BIP44}/0/*))`, /^has a descriptor with several keys/],
  [
    'a key of several signatures',
    'btc',
    'main',
    withVersion(BIP84, 0x02aa7ed3),
    /^is a Zpub, which is for wallets of sev/,
  ],
  [
    'a zpub in a descriptor',
    'btc',
    'main',
    `wpkh(${BIP84}/0/*)`,
    /^has a zpub in a descriptor: descriptors hold keys as x/,
  ],
  [
    'a zpub for Ethereum',
    'evm',
    'main',
    BIP84,
    /^is for Bitcoin-like addresses: give the xpub… of an account of Ethereum/,
  ],
  ["Ethereum's kind for Bitcoin", 'btc', 'main', `evm(${ETHEREUM}/0/*)`, /^is for Ethereum: give a key of Bitcoin/],
  [
    'an address',
    'btc',
    'main',
    'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu',
    /^is no extended public key: set it to the xpub/,
  ],
  ['nothing of the kind', 'btc', 'main', 'my wallet', /^is no extended public key/],
  ['a whole book', 'btc', 'main', 'x'.repeat(100_000), /^is no extended public key/],
]
for (const [what, family, environment, text, why] of refused) {
  test(`37: refused, with what to do and without a word of it: ${what}`, () => {
    const read = readKey(family, environment, text)
    assert.ok(!read.ok)
    assert.match(read.why, why)
    assert.match(read.why, /: .*[.)]$/s)
    if (text.length > 20) assert.doesNotMatch(read.why, new RegExp(text.slice(4, 20).replace(/\W/g, '.')))
  })
}

test("the checksum of descriptors is BIP-380's", () => {
  assert.equal(descriptorChecksum('raw(deadbeef)'), '89f8spxm')
  assert.equal(descriptorChecksum('raw(Ü)'), null)
  const read = readKey('btc', 'main', `wpkh([73c5da0a/84h/0h/0h]${BIP84_X}/0/*)`)
  assert.ok(read.ok)
  const exported = exportedKey(read.key)
  assert.match(exported, /^wpkh\(\[73c5da0a\/84h\/0h\/0h\]xpub\w+\/0\/\*\)#[a-z0-9]{8}$/)
  assert.ok(readKey('btc', 'main', exported).ok)
  assert.ok(!readKey('btc', 'main', exported.replace('84h', '84H')).ok)
})

test("the sandbox's keys are known in whatever writing", () => {
  const disguised = readKey('evm', 'main', ETHEREUM)
  assert.ok(disguised.ok && isSandboxKey(disguised.key.identity))
  const own = readKey('btc', 'main', BIP84)
  assert.ok(own.ok && !isSandboxKey(own.key.identity))
})

const addresses: [family: Family, environment: Environment, text: string, isOne: boolean][] = [
  ['btc', 'main', 'BC1QCR8TE4KR609GCAWUTMRZA0J4XV80JY8Z306FYU', true],
  ['btc', 'main', 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyv', false],
  ['btc', 'main', 'bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk', false],
  ['btc', 'test', 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu', false],
  ['ltc', 'main', 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu', false],
  ['ltc', 'main', '1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA', false],
  ['btc', 'main', '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266', false],
  ['evm', 'main', '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266', true],
  ['evm', 'main', '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267', false],
  ['btc', 'main', '', false],
]
for (const [family, environment, text, isOne] of addresses) {
  test(`${text || 'nothing'} is ${isOne ? 'an' : 'no'} address of ${family} (${environment})`, () =>
    assert.equal(readAddress(family, environment, text) !== null, isOne))
}
