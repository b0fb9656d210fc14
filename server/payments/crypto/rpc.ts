/**
 * JSON-RPC over HTTP to the nodes of one network: where they are, how long they may take and how much they may say, which of them is
 * asked, and what is worth asking again.
 *
 * Two ways to fail, never mixed up. The node understood and says no: `RpcError`, which only its caller can judge ("unknown block" is an
 * answer). Everything else is `NodeTrouble`: no answer, half an answer, an answer to something else. Only reading calls are made, so
 * each may be repeated.
 */
import { pause, type WireClock, wireClock } from '../../platform/clock.ts'
import { NodeTrouble } from './chain.ts'

const TIMEOUT_MS = 15_000
/** A full block with all its transactions in words is 10 to 40 MB. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
/** How often all endpoints are asked before their trouble is the caller's, and the pause before the second round, doubled each time. */
const ROUNDS_MAX = 3
const ROUND_PAUSE_MS = 200
/** An endpoint in trouble is asked after the others for so long; then the order of the setting counts again. */
const ASIDE_MS = 30_000
/** More are sent as several batches: public endpoints refuse long ones. */
const BATCH_CALLS_MAX = 100
const TEXT_CHARACTERS_MAX = 200

/** Core still loads its blocks; a provider asks for patience (EIP-1474). Both pass. */
const PASSING_CODES = new Set([-28, -32005])

/** The node has read the call and refuses it: its own code and words. */
export class RpcError extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export type Call = { method: string; params: readonly unknown[] }
export type BatchAnswer = { ok: true; result: unknown } | { ok: false; error: RpcError }

/** One node. Everything asked of one of these was answered by the same program. */
export type Node = {
  /** For people and logs: `http://host:port`, without credentials, path and query, which may be a key. */
  name: string
  /** The result, whatever it is; null is a result too. `timeoutMs`: where it takes longer than usual. Throws `RpcError` or `NodeTrouble`. */
  call: (method: string, params?: readonly unknown[], options?: { timeoutMs?: number }) => Promise<unknown>
  /** In the order of the calls; whole, or `NodeTrouble`. */
  batch: (calls: readonly Call[]) => Promise<BatchAnswer[]>
}

export type Rpc = {
  nodes: readonly Node[]
  /**
   * Does the work with one node; when it meets trouble there, with the next one, from the beginning. After three rounds of all of them
   * (200 and 400 ms apart) the trouble of the first is thrown. `RpcError`, and everything else, passes at once.
   */
  ask: <Result>(work: (node: Node) => Promise<Result>) => Promise<Result>
}

export type RpcSettings = {
  /** In the order of preference. Credentials stand in the URL (`http://user:password@host:port/path`) and are sent as Basic. */
  urls: readonly string[]
  /**
   * Asked of a node before its first use and after each trouble with it: whether it is of the right network at all. Throws
   * `NodeTrouble('wrong_chain')`.
   */
  check?: (node: Node) => Promise<void>
  timeoutMs?: number
  answerBytesMax?: number
  roundsMax?: number
  roundPauseMs?: number
  clock?: WireClock
  /** Ends calls and pauses; what is asked afterwards is trouble. */
  signal?: AbortSignal
}

export function createRpc(settings: RpcSettings): Rpc {
  const { urls, check, roundsMax = ROUNDS_MAX, roundPauseMs = ROUND_PAUSE_MS, clock = wireClock, signal } = settings
  if (urls.length === 0) throw new Error('A network needs the URL of a node')
  const places = urls.map((url) => ({ node: openNode(url, settings), isChecked: check === undefined, asideUntil: 0 }))

  function inOrder() {
    const now = clock.now().getTime()
    return [...places.filter((one) => one.asideUntil <= now), ...places.filter((one) => one.asideUntil > now)]
  }

  return {
    nodes: places.map((one) => one.node),

    async ask(work) {
      let first: NodeTrouble | undefined
      for (let round = 0; round < roundsMax; round++) {
        if (round > 0) await pause(roundPauseMs * 2 ** (round - 1), signal)
        let isWorthAnother = false
        for (const place of inOrder()) {
          try {
            if (!place.isChecked) await check?.(place.node)
            place.isChecked = true
            const result = await work(place.node)
            place.asideUntil = 0
            return result
          } catch (error) {
            if (!(error instanceof NodeTrouble)) throw error
            first ??= error
            place.isChecked = check === undefined
            place.asideUntil = clock.now().getTime() + ASIDE_MS
            isWorthAnother ||= error.word === 'unreachable' || error.word === 'broken_answer'
          }
        }
        if (!isWorthAnother || signal?.aborted) break
      }
      throw first!
    },
  }
}

/** What must never stand in a log: whole, and in the parts that an error of the network may repeat. */
function openNode(written: string, settings: RpcSettings): Node {
  const { url, name, authorization, secrets } = placeOf(written)
  const { timeoutMs: usualTimeoutMs = TIMEOUT_MS, answerBytesMax = ANSWER_BYTES_MAX, signal } = settings
  let lastId = 0

  function trouble(word: NodeTrouble['word'], what: string): NodeTrouble {
    return new NodeTrouble(word, `${name} ${redacted(what)}`)
  }

  function redacted(text: string): string {
    const safe = secrets.reduce((left, secret) => left.replaceAll(secret, '***'), text.replace(/\s+/g, ' '))
    return safe.length > TEXT_CHARACTERS_MAX ? `${safe.slice(0, TEXT_CHARACTERS_MAX)}…` : safe
  }

  async function post(body: unknown, timeoutMs = usualTimeoutMs): Promise<unknown> {
    const limit = AbortSignal.timeout(timeoutMs)
    let status: number
    let text: string
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(authorization ? { authorization } : {}) },
        body: JSON.stringify(body),
        // Whoever redirects would be given what we know of the node.
        redirect: 'error',
        signal: signal ? AbortSignal.any([limit, signal]) : limit,
      })
      status = response.status
      text = await bodyOf(response, answerBytesMax)
    } catch (error) {
      if (error instanceof TooLong) throw trouble('broken_answer', `answered more than ${answerBytesMax} bytes`)
      if (signal?.aborted) throw trouble('unreachable', 'was not waited for: the program ends')
      if (limit.aborted) throw trouble('unreachable', `did not answer within ${timeoutMs} ms`)
      throw trouble('unreachable', `cannot be asked: ${reasonOf(error)}`)
    }
    // Core answers a refusal of the call with 500 or 404 and says which in the body; so the body comes first.
    const answer = parse(text)
    if (answer !== undefined && (status < 400 || Array.isArray(answer) || errorOf(answer))) return answer
    if (status === 401 || status === 403) throw trouble('refused', `refuses us with HTTP ${status}: correct its URL`)
    if (status === 429 || status >= 500) throw trouble('unreachable', `answers HTTP ${status}`)
    if (status >= 400) throw trouble('refused', `answers HTTP ${status}: correct its URL`)
    throw trouble('broken_answer', `answers what is not JSON: ${text.slice(0, 60)}`)
  }

  function read(answer: unknown, id: number): BatchAnswer {
    const error = errorOf(answer)
    if (error) {
      if (PASSING_CODES.has(error.code)) throw trouble('unreachable', `asks for patience: ${error.message}`)
      return { ok: false, error: new RpcError(error.code, redacted(error.message)) }
    }
    if (typeof answer !== 'object' || answer === null || !('result' in answer) || !('id' in answer) || answer.id !== id)
      throw trouble('broken_answer', 'answers something else than was asked')
    return { ok: true, result: answer.result }
  }

  return {
    name,

    async call(method, params = [], { timeoutMs } = {}) {
      const id = ++lastId
      const answer = read(await post({ jsonrpc: '2.0', id, method, params }, timeoutMs), id)
      if (!answer.ok) throw answer.error
      return answer.result
    },

    async batch(calls) {
      const answers: BatchAnswer[] = []
      for (let from = 0; from < calls.length; from += BATCH_CALLS_MAX) {
        const part = calls.slice(from, from + BATCH_CALLS_MAX)
        const asked = part.map(({ method, params }) => ({ jsonrpc: '2.0', id: ++lastId, method, params }))
        const listed = await post(asked)
        if (!Array.isArray(listed)) {
          const error = errorOf(listed)
          if (error && PASSING_CODES.has(error.code)) throw trouble('unreachable', error.message)
          throw trouble(error ? 'refused' : 'broken_answer', `does not answer a batch: ${error?.message ?? 'no list'}`)
        }
        if (listed.length !== asked.length) throw trouble('broken_answer', 'answers a part of a batch')
        const byId = new Map(listed.map((one) => [idOf(one), one]))
        for (const { id } of asked) answers.push(read(byId.get(id), id))
      }
      return answers
    },
  }
}

function placeOf(written: string) {
  if (!URL.canParse(written)) throw new Error("A node's URL cannot be read: http(s)://user:password@host:port/path")
  const url = new URL(written)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error("A node's URL begins with http or https")
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  // Providers hand out keys in the path or the query. What is shorter than one is a word, and errors need their words.
  const keys = [...url.pathname.split('/'), ...url.searchParams.values()].filter((part) => part.length >= 8)
  const secrets = [url.username, url.password, user, password].filter((part) => part.length > 2)
  const authorization = user || password ? `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` : null
  url.username = ''
  url.password = ''
  return {
    url: url.href,
    name: url.origin,
    authorization,
    secrets: [...new Set([...secrets, ...keys])].sort((a, b) => b.length - a.length),
  }
}

class TooLong extends Error {}

async function bodyOf(response: Response, bytesMax: number): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.byteLength
    if (bytes > bytesMax) throw new TooLong()
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (inner instanceof Error && 'code' in inner && typeof inner.code === 'string') return inner.code
  return inner instanceof Error ? inner.message : String(inner)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function errorOf(answer: unknown): { code: number; message: string } | null {
  if (typeof answer !== 'object' || answer === null || !('error' in answer)) return null
  const { error } = answer
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'number') return null
  return { code: error.code, message: 'message' in error ? String(error.message) : '' }
}

function idOf(answer: unknown): unknown {
  return typeof answer === 'object' && answer !== null && 'id' in answer ? answer.id : undefined
}

/**
 * Whether the nodes have this block at its height, by `hashAt`. Whoever told us of the block says yes to himself, so it takes two; a node
 * in trouble says nothing.
 */
export async function agreeOn<One>(
  nodes: readonly One[],
  hash: string,
  hashAt: (node: One) => Promise<string | null>,
): Promise<'agrees' | 'disagrees' | 'alone' | 'not_known'> {
  if (nodes.length < 2) return 'alone'
  const said = await Promise.all(
    nodes.map(async (node) => {
      try {
        return await hashAt(node)
      } catch (error) {
        if (error instanceof NodeTrouble) return null
        throw error
      }
    }),
  )
  if (said.some((one) => one !== null && one !== hash)) return 'disagrees'
  return said.filter((one) => one === hash).length > 1 ? 'agrees' : 'not_known'
}
