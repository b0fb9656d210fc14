import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiDocument, chaptersOf, curlOf, membersOf, refusalsOf, scopeOf, successOf } from './document.ts'
import { journey } from './journey.ts'

const document: ApiDocument = {
  info: { title: 'API', description: '' },
  servers: [{ url: 'https://sms.example' }],
  tags: [
    { name: 'Orders', description: 'Numbers.' },
    { name: 'Nothing', description: 'Has no endpoint.' },
  ],
  components: {
    schemas: {
      Money: { type: 'string', description: 'US dollars' },
      Order: {
        type: 'object',
        required: ['price', 'messages'],
        properties: {
          price: { $ref: '#/components/schemas/Money' },
          ended_at: {
            anyOf: [{ type: 'string', format: 'date-time' }, { type: 'null' }],
            description: 'Null while open',
          },
          messages: { type: 'array', items: { $ref: '#/components/schemas/Message' } },
        },
      },
      Message: { type: 'object', required: ['text'], properties: { text: { type: 'string' } } },
    },
  },
  paths: {
    '/api/v1/orders': {
      post: {
        operationId: 'postOrders',
        tags: ['Orders'],
        summary: 'Order a number',
        'x-policy': 'order',
        'x-who': 'A key.',
        requestBody: {
          content: {
            'application/json': {
              schema: { type: 'object', required: ['service'], properties: { service: { type: 'string' } } },
              example: { service: 'telegram' },
            },
          },
        },
        responses: {
          201: {
            description: 'Order a number',
            content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } },
          },
          409: {
            description: '`no_numbers`: No number is free. `above_max_price`: The price is above your maximum',
            content: { 'application/problem+json': { schema: {} } },
          },
        },
      },
    },
  },
}
const [chapter] = chaptersOf(document)
const [order] = chapter!.endpoints

test('a chapter without an endpoint is not shown', () => {
  assert.deepEqual(
    chaptersOf(document).map(({ name, endpoints }) => [name, endpoints.length]),
    [['Orders', 1]],
  )
})

test('the line for a terminal carries the key where one opens the door, and the example that works', () => {
  assert.equal(scopeOf(order!), 'order')
  assert.equal(
    curlOf(order!, 'https://sms.example'),
    `curl -X POST "https://sms.example/api/v1/orders" -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '{"service":"telegram"}'`,
  )
})

test('members are told with their kind, through names and lists', () => {
  assert.deepEqual(membersOf(document, successOf(order!).schema), [
    { name: 'price', type: 'amount', required: true, words: 'US dollars' },
    { name: 'ended_at', type: 'text or null', required: false, words: 'Null while open' },
    { name: 'messages', type: 'list of Message', required: true, words: '' },
    { name: 'messages[].text', type: 'text', required: true, words: '' },
  ])
})

test('the words of refusals are read out of the sentences', () => {
  assert.deepEqual(refusalsOf(order!), [
    { status: '409', code: 'no_numbers', title: 'No number is free' },
    { status: '409', code: 'above_max_price', title: 'The price is above your maximum' },
  ])
})

test('the journey speaks to the address of this installation only', () => {
  for (const line of journey('https://sms.example'))
    assert.match(line.run, /^curl (-X POST )?"https:\/\/sms\.example\/api\/v1\//)
})
