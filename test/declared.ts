/** Every answer that a test sees is held against the declaration of its route: nothing undeclared is sent, refused or left out. */
import assert from 'node:assert/strict'
import type { ZodType } from 'zod'
import { problemSchema } from '../contract/contract.ts'
import type { RefusalCode } from '../contract/refusals.ts'
import { refusalsOf } from '../server/openapi.ts'
import type { Route } from '../server/platform/route.ts'

/** The declared route that answers this; null: an address that nobody declared. */
export function routeOf(routes: readonly Route[], method: string, path: string): Route | null {
  const { pathname } = new URL(path, 'http://server')
  const found = routes.filter((route) => route.method === method.toLowerCase() && patternOf(route).test(pathname))
  // `/orders/:id` and `/orders/open`, were there such: the one without a variable is meant.
  return found.sort((a, b) => Number(a.path.includes(':')) - Number(b.path.includes(':')))[0] ?? null
}

export function expectAsDeclared(
  routes: readonly Route[],
  asked: { method: string; path: string },
  answer: { status: number; body: unknown },
): void {
  const route = routeOf(routes, asked.method, asked.path)
  if (!route) return
  const at = `${asked.method} ${route.path} answered ${answer.status}`
  if (answer.status >= 400) {
    // What is missing is said to whoever looks after the server, in its own form.
    if (route.path === '/readyz') return
    const problem = parse(problemSchema, answer.body, at)
    const { code } = problem as { code: RefusalCode }
    assert.ok(
      refusalsOf(route).includes(code),
      `${at} "${code}", which is not declared: ${JSON.stringify(answer.body)}`,
    )
    return
  }
  const declared = route.answers[answer.status]
  assert.ok(declared !== undefined, `${at}, which is not declared`)
  if (typeof declared !== 'string')
    assert.deepEqual(parse(declared, answer.body, at), answer.body, `${at} with members that are not declared`)
}

function parse(schema: ZodType, body: unknown, at: string): unknown {
  const read = schema.safeParse(body)
  assert.ok(read.success, `${at}, not as declared: ${read.error?.message}\n${JSON.stringify(body)}`)
  return read.data
}

function patternOf(route: Route): RegExp {
  return new RegExp(`^${route.path.replace(/[.]/g, '\\.').replace(/:\w+/g, '[^/]+')}$`)
}
