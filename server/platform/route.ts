/**
 * Every URL of the server is declared once, here, with its policy: who may ask, what is sent, what is answered, what is refused. The
 * same declaration reads the request, guards it, and becomes the API's document; so neither can say what the other does not do.
 * Knows no business.
 */
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import type { ZodObject, ZodType, z } from 'zod'
import type { RefusalCode } from '../../contract/refusals.ts'
import { Refusal, type RequestVariables, readJson, readQuery } from './answer.ts'
import { pause } from './clock.ts'

/** Who may ask. There is no default: a route without a policy does not compile, and a table refuses it. */
export const policies = {
  public: 'Anybody.',
  signed: 'Whoever signs the body with the shared secret.',
  sandbox: 'Anybody, in sandbox mode only.',
  operator: 'A program on this machine, or one with the token of the metrics.',
  read: 'A signed-in person, or an API key with the scope "read".',
  order: 'A signed-in person, or an API key with the scope "order".',
  topup: 'A signed-in person, or an API key with the scope "topup".',
  session: 'A signed-in person; API keys do not open it.',
  recent: 'A signed-in person who gave the password within the last five minutes; API keys do not open it.',
  staff: 'A signed-in member of staff; API keys do not open it.',
} as const
export type Policy = keyof typeof policies
type Unguarded = 'public' | 'signed' | 'sandbox'

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

/** The longest that a route works on an answer before it says that the outcome is not known. Unit: seconds. */
const ANSWER_SECONDS_MAX = 20

export type Declaration<Query extends ZodObject = ZodObject, Body extends ZodType = ZodType> = {
  policy: Policy
  /** One line, in the imperative. */
  summary: string
  /** What happens, to money too; sentences. */
  description?: string
  /** The variables of the path, for the document. What cannot be read is for the handler to refuse. */
  params?: Record<string, ZodType>
  query?: Query
  /** A list: ?limit= (1 to 100, default 50) and ?cursor= are taken, `{items, next_cursor}` is answered. */
  list?: true
  /** JSON. Absent: a body is not read. */
  body?: Body
  /** A body that is shown in the docs, and works. */
  example?: z.input<Body>
  /** The Idempotency-Key is honoured. */
  idempotent?: true
  /** What is answered when all is well: a schema of JSON, or in words what else it is. */
  answers: { [status: number]: ZodType | string }
  /** The words of its refusals, beyond those that its policy, its body and its query bring along. */
  refuses?: readonly RefusalCode[]
  /** An answer that stays open (live updates): no time limit. */
  stream?: true
}

export type Route = Declaration & { method: Method; path: string; chapter: string }

type ContextOf<Caller, P extends Policy, Path extends string> = Context<
  P extends Unguarded | 'operator'
    ? { Variables: RequestVariables }
    : { Variables: RequestVariables & { caller: Caller } },
  Path
>

export type RouteTable<Caller> = ReturnType<typeof createRouteTable<Caller>>

/** `guards`: what lets a request of each policy pass, or throws a Refusal. */
export function createRouteTable<Caller>(guards: Record<Exclude<Policy, Unguarded>, MiddlewareHandler>) {
  const hono = new Hono()
  const routes: Route[] = []
  const chapters: { title: string; words: string }[] = []

  function declare(method: Method) {
    return <Path extends string, const P extends Policy, Query extends ZodObject, Body extends ZodType>(
      path: Path,
      declaration: Declaration<Query, Body> & { policy: P },
      handler: (
        c: ContextOf<Caller, P, Path>,
        asked: { query: z.output<Query>; body: z.output<Body> },
      ) => Response | Promise<Response>,
    ): void => {
      const { policy } = declaration
      if (!(policy in policies)) throw new Error(`The route ${method} ${path} has no policy`)
      if (routes.some((route) => route.method === method && route.path === path))
        throw new Error(`The route ${method} ${path} is declared twice`)
      routes.push({ ...declaration, method, path, chapter: chapters.at(-1)?.title ?? '' } as Route)
      const guard: MiddlewareHandler[] = policy in guards ? [guards[policy as keyof typeof guards]] : []
      const answer: MiddlewareHandler = async (c) => {
        // The router answers HEAD with what GET does, less the body: a stream that nobody reads would stay open for ever.
        if (declaration.stream && c.req.method === 'HEAD')
          return c.body(null, 200, { 'content-type': String(declaration.answers[200]) })
        const work = (async () => {
          const query = declaration.query ? readQuery(c, declaration.query) : {}
          const body = declaration.body ? await readJson(c, declaration.body) : undefined
          return handler(c as ContextOf<Caller, P, Path>, { query, body } as never)
        })()
        return declaration.stream ? work : withinTime(work)
      }
      hono.on(method.toUpperCase(), [routed(path)], ...guard, answer)
    }
  }

  return {
    /** Begins a chapter of the document; what is declared from here on belongs to it. */
    chapter(title: string, words: string): void {
      if (chapters.some((chapter) => chapter.title === title)) throw new Error(`There are two chapters ${title}`)
      chapters.push({ title, words })
    },
    get: declare('get'),
    post: declare('post'),
    put: declare('put'),
    patch: declare('patch'),
    delete: declare('delete'),
    hono,
    routes: routes as readonly Route[],
    chapters: chapters as readonly { title: string; words: string }[],
  }
}

/** `/receipts/:id.pdf`: to the router a variable ends with its segment, so it is told what the segment ends with. */
function routed(path: string): string {
  return path.replace(/:(\w+)\.(\w+)$/, ':$1{[^/]+\\.$2}')
}

/** What was begun goes on, and is safe to repeat: every money verb carries its key. */
async function withinTime(work: Promise<Response>): Promise<Response> {
  const done = new AbortController()
  const late = pause(ANSWER_SECONDS_MAX * 1000, done.signal).then(() => {
    if (done.signal.aborted) return work
    throw new Refusal({
      code: 'temporarily_unavailable',
      detail: `There was no answer within ${ANSWER_SECONDS_MAX} seconds, so whether it was done is not known yet. Look at the list, or repeat the request with the same Idempotency-Key.`,
    })
  })
  try {
    return await Promise.race([work, late])
  } finally {
    done.abort()
  }
}
