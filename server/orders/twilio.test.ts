/** Twilio's signatures: the published ones, and what must not pass for one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSignedByTwilio } from './twilio.ts'

// The example of Twilio's documentation, and what the tests of Twilio's own libraries hold for right beside it.
const TOKEN = '12345'
const url = 'https://mycompany.com/myapp.php?foo=1&bar=2'
const parameters = () =>
  new URLSearchParams({
    CallSid: 'CA1234567890ABCDE',
    Caller: '+14158675309',
    Digits: '1234',
    From: '+14158675309',
    To: '+18005551212',
  })
const SIGNATURE = 'RSOYDt4T1cUTdK1PDd93/VVr8B8='

const published: [what: string, signature: string, called: string, sent?: URLSearchParams][] = [
  ['the example of the documentation', SIGNATURE, url],
  ['signed without the port that the address has', SIGNATURE, url.replace('.com', '.com:1234')],
  ['signed with the port of https', 'kvajT1Ptam85bY51eRf/AJRuM3w=', url],
  ['signed with the port of http', '0ZXoZLH/DfblKGATFgpif+LLRf4=', url.replace('https', 'http')],
  [
    'signed with the port that the address has',
    'Zmvh+3yNM1Phv2jhDCwEM3q5ebU=',
    url.replace('.com', '.com:1234').replace('https', 'http'),
  ],
  [
    'a parameter that comes several times, one value of it twice',
    'IK+Dwps556ElfBT0I3Rgjkr1wJU=',
    url,
    new URLSearchParams('Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234'),
  ],
]

for (const [what, signature, called, sent] of published) {
  test(`right: ${what}`, () => {
    const request = { url: called, parameters: sent ?? parameters() }
    assert.equal(isSignedByTwilio(signature, request, ['another-token', TOKEN]), true)
    assert.equal(isSignedByTwilio(signature, request, ['another-token']), false)
    assert.equal(isSignedByTwilio(signature, request, []), false)
  })
}

test('the order in which the parameters come makes no difference', () => {
  const turned = new URLSearchParams([...parameters()].reverse())
  assert.equal(isSignedByTwilio(SIGNATURE, { url, parameters: turned }, [TOKEN]), true)
})

test('anything that differs makes it a forgery', () => {
  const changed = (change: (parameters: URLSearchParams) => void) => {
    const sent = parameters()
    change(sent)
    return { url, parameters: sent }
  }
  const forged = [
    changed((sent) => sent.set('Digits', '1235')),
    changed((sent) => sent.append('Digits', '1235')),
    changed((sent) => sent.append('More', '1')),
    changed((sent) => sent.delete('Caller')),
    { url: `${url}&more=1`, parameters: parameters() },
    { url: url.replace('mycompany', 'yourcompany'), parameters: parameters() },
    { url: url.replace('https', 'http'), parameters: parameters() },
  ]
  for (const request of forged) assert.equal(isSignedByTwilio(SIGNATURE, request, [TOKEN]), false, request.url)
  for (const signature of ['', 'FAIL', SIGNATURE.slice(0, -4), `${SIGNATURE}AAAA`, 'é'.repeat(20)])
    assert.equal(isSignedByTwilio(signature, { url, parameters: parameters() }, [TOKEN]), false, signature)
})
