/** A certificate of the test's own, made here: no program of the machine is needed for it, and no key lies in the repository. */
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'

const tags = { integer: 2, bits: 3, octets: 4, oid: 6, utf8: 12, sequence: 48, set: 49, utcTime: 23 }
const oids = {
  ecdsaWithSha256: Buffer.from('2a8648ce3d040302', 'hex'),
  commonName: Buffer.from('550403', 'hex'),
  subjectAltName: Buffer.from('551d11', 'hex'),
}
const DAY_MS = 24 * 3600 * 1000

/** For one host name, valid from yesterday until tomorrow, signed by itself. PEM, both. */
export function makeCertificate(host: string): { key: string; certificate: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const algorithm = der(tags.sequence, der(tags.oid, oids.ecdsaWithSha256))
  const name = der(
    tags.sequence,
    der(tags.set, der(tags.sequence, der(tags.oid, oids.commonName), der(tags.utf8, Buffer.from(host)))),
  )
  const DNS_NAME = 0x82
  const alternative = der(tags.sequence, der(DNS_NAME, Buffer.from(host)))
  const facts = der(
    tags.sequence,
    der(0xa0, der(tags.integer, Buffer.from([2]))), // X.509 version 3
    der(tags.integer, Buffer.from([1])),
    algorithm,
    name,
    der(tags.sequence, time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      der(tags.sequence, der(tags.sequence, der(tags.oid, oids.subjectAltName), der(tags.octets, alternative))),
    ),
  )
  const signature = sign('sha256', facts, createPrivateKey(key))
  const whole = der(tags.sequence, facts, algorithm, der(tags.bits, Buffer.from([0]), signature))
  const lines = whole.toString('base64').match(/.{1,64}/g)!
  return { key, certificate: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n` }
}

/** Source: ITU-T X.690, definite lengths. */
function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/\D/g, '').slice(2, 14)
  return der(tags.utcTime, Buffer.from(`${digits}Z`))
}
