/** The API's document, OpenAPI 3.1, made from the routes as they are declared: what is not a route cannot be in it, and the reverse. */

import { z } from 'zod'
import {
  createDocument,
  type ZodOpenApiObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
} from 'zod-openapi'
import { amountIn, problemSchema } from '../contract/contract.ts'
import { type RefusalCode, refusals } from '../contract/refusals.ts'
import { PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX } from './platform/limits.ts'
import { type Policy, policies, type Route } from './platform/route.ts'

const pageQuery = {
  limit: z
    .string()
    .regex(/^\d{1,3}$/)
    .optional()
    .meta({ description: `Items a page: 1 to ${PAGE_ITEMS_MAX}, ${PAGE_ITEMS_DEFAULT} unless told` }),
  cursor: z.string().optional().meta({ description: '`next_cursor` of the page before' }),
}
const idempotencyHeader = z.object({
  'Idempotency-Key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/)
    .optional()
    .meta({ description: 'The same key again answers as the first time, and nothing happens twice' }),
})

const keyPolicies: readonly Policy[] = ['read', 'order', 'topup']
const sessionPolicies: readonly Policy[] = [...keyPolicies, 'session', 'recent', 'staff']

export function describeApi(
  table: { routes: readonly Route[]; chapters: readonly { title: string; words: string }[] },
  site: { publicUrl: string; brand: string; cookieName: string },
) {
  const paths: ZodOpenApiPathsObject = {}
  for (const route of table.routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method]: operation(route) }
  }
  const document: ZodOpenApiObject = {
    openapi: '3.1.1',
    info: {
      title: `${site.brand} API`,
      version: '1',
      description:
        'Money is a decimal string in US dollars, times are RFC 3339 in UTC. Every failure is application/problem+json with a stable `code`. Lists are `{items, next_cursor}`.',
    },
    servers: [{ url: site.publicUrl }],
    tags: table.chapters.map(({ title, words }) => ({ name: title, description: words })),
    components: {
      schemas: { Problem: problemSchema, Amount: amountIn },
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key, made in Settings' },
        session: { type: 'apiKey', in: 'cookie', name: site.cookieName, description: 'A signed-in browser' },
      },
    },
    paths,
  }
  return createDocument(document, {
    // An answer may gain members without breaking a client that reads the ones it knows.
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
    },
  })
}

function operation(route: Route): ZodOpenApiOperationObject {
  const query = route.query || route.list ? z.object({ ...route.query?.shape, ...(route.list ? pageQuery : {}) }) : null
  return {
    operationId: `${route.method}${route.path.replace(/[/:_-]+(\w)/g, (_, letter: string) => letter.toUpperCase()).replace(/\W/g, '')}`,
    tags: [route.chapter],
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    'x-policy': route.policy,
    'x-who': policies[route.policy],
    security: [
      ...(keyPolicies.includes(route.policy) ? [{ key: [] }] : []),
      ...(sessionPolicies.includes(route.policy) ? [{ session: [] }] : []),
    ],
    requestParams: {
      ...(route.path.includes(':') ? { path: z.object(pathParameters(route)) } : {}),
      ...(query ? { query } : {}),
      ...(route.idempotent ? { header: idempotencyHeader } : {}),
    },
    ...(route.body
      ? {
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: route.body,
                ...(route.example === undefined ? {} : { example: route.example }),
              },
            },
          },
        }
      : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, answer]) => [
          status,
          typeof answer === 'string'
            ? { description: route.summary, content: { [answer]: {} } }
            : { description: route.summary, content: { 'application/json': { schema: answer } } },
        ]),
      ),
      ...refusalAnswers(route),
    },
  }
}

function pathParameters(route: Route) {
  return Object.fromEntries(
    [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => [name!, route.params?.[name!] ?? z.string()]),
  )
}

/** The words that a route may refuse with: its own, and those that come with its policy, its body and its query. */
export function refusalsOf(route: Route): RefusalCode[] {
  const { policy } = route
  return [
    ...new Set<RefusalCode>([
      ...(route.refuses ?? []),
      ...(route.body || route.query || route.list || route.idempotent ? (['invalid_request'] as const) : []),
      ...(route.method === 'get' ? [] : (['too_large'] as const)), // also where no body is read
      ...(route.body ? (['unsupported_media_type'] as const) : []),
      ...(route.idempotent ? (['idempotency_key_reused'] as const) : []),
      ...(sessionPolicies.includes(policy) ? (['unauthenticated', 'forbidden'] as const) : []),
      ...(policy === 'operator' ? (['not_found'] as const) : []),
      ...(policy === 'recent' ? (['password_needed'] as const) : []),
      'rate_limited',
      'temporarily_unavailable',
      'internal_error',
    ]),
  ]
}

/** One answer per status, which names the words that come with it. */
function refusalAnswers(route: Route) {
  const byStatus = new Map<number, RefusalCode[]>()
  for (const code of refusalsOf(route)) {
    const { status } = refusals[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, codes]) => [
        String(status),
        {
          description: codes.map((code) => `\`${code}\`: ${refusals[code].title}`).join('. '),
          content: { 'application/problem+json': { schema: problemSchema } },
        },
      ]),
  )
}
