/** The API's document (OpenAPI 3.1, /api/openapi.json) as the docs page reads it. */

export type Schema = {
  $ref?: string
  type?: string | string[]
  description?: string
  enum?: unknown[]
  const?: unknown
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  allOf?: Schema[]
  format?: string
}

type Content = Record<string, { schema?: Schema; example?: unknown }>

export type Operation = {
  operationId: string
  tags: string[]
  summary: string
  description?: string
  'x-policy': string
  'x-who': string
  parameters?: {
    in: 'path' | 'query' | 'header'
    name: string
    required?: boolean
    description?: string
    schema?: Schema
  }[]
  requestBody?: { content: Content }
  responses: Record<string, { description: string; content?: Content }>
}

export type ApiDocument = {
  info: { title: string; description: string }
  servers: { url: string }[]
  tags: { name: string; description: string }[]
  components: { schemas: Record<string, Schema> }
  paths: Record<string, Record<string, Operation>>
}

export type Endpoint = Operation & { method: string; path: string }

/** The endpoints of each chapter, in the order in which the server declares them. */
export function chaptersOf(document: ApiDocument): { name: string; words: string; endpoints: Endpoint[] }[] {
  const endpoints = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })),
  )
  return document.tags
    .map(({ name, description }) => ({
      name,
      words: description,
      endpoints: endpoints.filter((endpoint) => endpoint.tags.includes(name)),
    }))
    .filter((chapter) => chapter.endpoints.length > 0)
}

/** Which API keys open it; null: a key is not what opens it. */
export function scopeOf({ 'x-policy': policy }: Operation): string | null {
  return policy === 'read' || policy === 'order' || policy === 'topup' ? policy : null
}

/** A line for a terminal. `$KEY` is the reader's key; what stands in braces in the path is his to fill in. */
export function curlOf(endpoint: Endpoint, base: string): string {
  const body = endpoint.requestBody?.content['application/json']
  return [
    'curl',
    endpoint.method === 'GET' ? null : `-X ${endpoint.method}`,
    `"${base}${endpoint.path}"`,
    scopeOf(endpoint) ? '-H "Authorization: Bearer $KEY"' : null,
    body ? `-H "Content-Type: application/json" -d '${JSON.stringify(body.example ?? {})}'` : null,
  ]
    .filter((part) => part !== null)
    .join(' ')
}

export type Member = { name: string; type: string; required: boolean; words: string }

/** What a JSON object holds, one line each; members of members as `a.b`, of lists as `a[].b`. */
export function membersOf(document: ApiDocument, schema: Schema | undefined, depthMax = 2, prefix = ''): Member[] {
  const whole = resolve(document, schema)
  if (whole.type === 'array' && prefix === '') return membersOf(document, whole.items, depthMax, '[].')
  return Object.entries(whole.properties ?? {}).flatMap(([name, member]) => {
    const own = resolve(document, member)
    const inner = own.type === 'array' ? resolve(document, own.items) : own
    const path = `${prefix}${name}`
    const line: Member = {
      name: path,
      type: typeOf(document, member),
      required: whole.required?.includes(name) ?? false,
      words: member.description ?? own.description ?? '',
    }
    if (depthMax <= 1 || !inner.properties) return [line]
    return [line, ...membersOf(document, inner, depthMax - 1, `${path}${own.type === 'array' ? '[]' : ''}.`)]
  })
}

/** "text", "amount", "time or null", "list of Order". */
export function typeOf(document: ApiDocument, schema: Schema | undefined): string {
  if (!schema) return 'anything'
  if (schema.anyOf) return schema.anyOf.map((part) => typeOf(document, part)).join(' or ')
  if (schema.allOf?.[0]) return typeOf(document, schema.allOf[0])
  const named = schema.$ref?.split('/').at(-1)
  if (named === 'Money' || named === 'Amount') return 'amount'
  if (named === 'Time') return 'time'
  const whole = resolve(document, schema)
  if (whole.enum) return whole.enum.map((word) => JSON.stringify(word)).join(' or ')
  if (whole.const !== undefined) return JSON.stringify(whole.const)
  if (whole.type === 'array') return `list of ${typeOf(document, whole.items)}`
  if (whole.type === 'object') return named ?? 'object'
  if (Array.isArray(whole.type)) return whole.type.map((type) => typeWords[type] ?? type).join(' or ')
  return whole.type ? (typeWords[whole.type] ?? whole.type) : 'anything'
}

const typeWords: Record<string, string> = {
  string: 'text',
  integer: 'whole number',
  number: 'number',
  boolean: 'true or false',
  null: 'null',
}

function resolve(document: ApiDocument, schema: Schema | undefined): Schema {
  let whole = schema ?? {}
  // A name leads to a shape; a chain of names is no longer than a few.
  for (let hops = 0; hops < 5; hops++) {
    const name = (whole.$ref ?? whole.allOf?.[0]?.$ref)?.split('/').at(-1)
    if (!name) return whole
    whole = document.components.schemas[name] ?? {}
  }
  return whole
}

/** The words a route may refuse with, as the document lists them beside each status: `word`: sentence. */
export function refusalsOf(operation: Operation): { status: string; code: string; title: string }[] {
  return Object.entries(operation.responses).flatMap(([status, { description, content }]) =>
    content && 'application/problem+json' in content
      ? [...description.matchAll(/`(\w+)`: ([^`]*?)(?:\. (?=`)|$)/g)].map((match) => ({
          status,
          code: match[1]!,
          title: match[2]!,
        }))
      : [],
  )
}

/** What it answers when all is well. */
export function successOf(operation: Operation): { status: string; schema: Schema | undefined } {
  const [status, answer] = Object.entries(operation.responses).find(([number]) => number.startsWith('2')) ?? [
    '200',
    null,
  ]
  return { status, schema: answer?.content?.['application/json']?.schema }
}
