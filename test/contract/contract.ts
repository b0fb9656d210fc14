/**
 * Holds traffic against the pinned SDK's own types, exactly: no field that the type does not have, none missing that it requires, no
 * value of another kind, and no word outside an enum, closed or open: of an open one (`'a' | 'b' | OtherString`) only the listed words
 * are taken, because a stand-in that invents words proves nothing.
 *
 * The compiler is asked for the types (its own API, one program over `calls.ts`), and they are walked along each value. Types that say
 * nothing (`any`) are a mistake here, not a way through.
 */
import { join } from 'node:path'
import { API, type Checker, SymbolFlags, type Type, TypeFlags } from 'typescript/unstable/sync'
import type { Calls } from './calls.ts'

const ROOT = join(import.meta.dirname, '../..')
const TYPES = join(import.meta.dirname, 'calls.ts')
const CONFIG = join(ROOT, 'tsconfig.contract.json')
/** Deeper than any object of the API, expanded. */
const DEPTH_MAX = 40

type Call = keyof Calls
export type Contract = ReturnType<typeof openContract>

/** Parameters as they came, form-encoded: every leaf is text, a list is numbered. */
type Form = { [name: string]: Form | string }

type Field = { shape: Shape; optional: boolean }
type Shape = {
  name: string
  /** Listed words; `words` alone, and any other text is wrong. */
  words: Set<string>
  /** Any text will do. */
  text: boolean
  /** A decimal number, as text on the wire. */
  decimal: boolean
  number: boolean
  /** `true` or `false` alone is one value. */
  flags: Set<boolean>
  nothing: boolean
  lists: Type[]
  objects: Type[]
}

export function openContract() {
  const api = new API({
    cwd: ROOT,
    fs: {
      readFile: (name) =>
        name === CONFIG ? JSON.stringify({ extends: './tsconfig.json', include: [], files: [TYPES] }) : undefined,
      fileExists: (name) => name === CONFIG || undefined,
    },
  })
  const project = api.updateSnapshot({ openProject: CONFIG }).getProject(CONFIG)!
  const checker: Checker = project.checker
  const shapes = new Map<number, Shape>()
  const fieldsKnown = new Map<number, { named: Map<string, Field>; others: Shape | null }>()

  const exported = new Map(
    checker
      .getExportsOfModule(checker.getSymbolAtLocation(project.program.getSourceFile(TYPES)!)!)
      .map((symbol) => [symbol.name, checker.getDeclaredTypeOfSymbol(symbol)]),
  )
  const calls = new Map(
    [...fieldsOf(exported.get('Calls')!).named].map(([call, { shape }]) => {
      const { named } = fieldsOf(shape.objects[0]!)
      return [call as Call, { asks: named.get('asks')!.shape, answers: named.get('answers')!.shape }]
    }),
  )
  const patterns = [...calls.keys()].map((call) => {
    const [method = '', path = ''] = call.split(' ')
    return { call, method, path: new RegExp(`^${path.replace(/:id/g, '[^/]+')}$`) }
  })

  function shapeOf(type: Type): Shape {
    const known = shapes.get(type.id)
    if (known) return known
    const shape: Shape = {
      name: checker.typeToString(type),
      words: new Set(),
      text: false,
      decimal: false,
      number: false,
      flags: new Set(),
      nothing: false,
      lists: [],
      objects: [],
    }
    shapes.set(type.id, shape)
    for (const part of type.isUnionType() ? type.getTypes() : [type]) {
      if (part.isStringLiteralType()) shape.words.add(part.value)
      else if (part.isBooleanLiteralType()) shape.flags.add(checker.typeToString(part) === 'true')
      else if (part.flags & TypeFlags.String) shape.text = true
      else if (part.flags & TypeFlags.Number) shape.number = true
      else if (part.flags & TypeFlags.Null) shape.nothing = true
      // May be left out; nothing on the wire is either of them.
      else if (part.flags & (TypeFlags.Undefined | TypeFlags.Void)) continue
      // The mark of an open enum: its listed words stand beside it.
      else if (part.getAliasSymbol()?.name === 'OtherString') continue
      else if (checker.isArrayType(part)) shape.lists.push(part)
      else if (part.getAliasSymbol()?.name === 'Decimal') shape.decimal = true
      else if (part.isObjectType() || part.isIntersectionType()) shape.objects.push(part)
      else throw new Error(`The type ${checker.typeToString(part)} in ${shape.name} says nothing about a value`)
    }
    return shape
  }

  function fieldsOf(type: Type): { named: Map<string, Field>; others: Shape | null } {
    const known = fieldsKnown.get(type.id)
    if (known) return known
    const symbols = checker.getPropertiesOfType(type)
    const types = checker.getTypeOfSymbol(symbols)
    const named = new Map(
      symbols.map((symbol, place) => [
        symbol.name,
        { shape: shapeOf(types[place]!), optional: (symbol.flags & SymbolFlags.Optional) !== 0 },
      ]),
    )
    const index = checker.getIndexInfosOfType(type)[0]
    const fields = { named, others: index ? shapeOf(index.valueType) : null }
    fieldsKnown.set(type.id, fields)
    return fields
  }

  /** What of a JSON value does not fit. */
  function misfits(value: unknown, shape: Shape, at: string, depth = 0): string[] {
    if (depth > DEPTH_MAX) return [`${at}: deeper than ${DEPTH_MAX}`]
    const wrong = (what: string) => [`${at}: ${what} where ${shape.name} is due`]
    switch (typeof value) {
      case 'string':
        if (shape.text || shape.words.has(value)) return []
        if (shape.decimal && /^-?\d+(\.\d+)?$/.test(value)) return []
        return shape.words.size > 0 ? wrong(`the word "${value}"`) : wrong('text')
      case 'number':
        return shape.number ? [] : wrong('a number')
      case 'boolean':
        return shape.flags.has(value) ? [] : wrong(String(value))
      case 'object':
        break
      default:
        return wrong(typeof value)
    }
    if (value === null) return shape.nothing ? [] : wrong('null')
    if (Array.isArray(value)) {
      return fewest(
        shape.lists.map((list) => {
          const item = shapeOf(checker.getTypeArguments(list as never)[0]!)
          return value.flatMap((each, place) => misfits(each, item, `${at}[${place}]`, depth + 1))
        }),
        () => wrong('a list'),
      )
    }
    const object = value as Record<string, unknown>
    return fewest(
      alike(object, shape.objects).map((type) => {
        const { named, others } = fieldsOf(type)
        return [
          ...[...named].flatMap(([name, { optional }]) =>
            Object.hasOwn(object, name) || optional ? [] : [`${at}.${name}: missing`],
          ),
          ...Object.entries(object).flatMap(([name, held]) => {
            const expected = named.get(name)?.shape ?? others
            return expected ? misfits(held, expected, `${at}.${name}`, depth + 1) : [`${at}.${name}: unknown field`]
          }),
        ]
      }),
      () => wrong('an object'),
    )
  }

  /** Of several kinds of objects those whose own word (`object`, `type`) the value says; all of them when it says none of theirs. */
  function alike(object: Record<string, unknown>, types: Type[]): Type[] {
    if (types.length < 2) return types
    const said = types.filter((type) =>
      [...fieldsOf(type).named].every(([name, { shape }]) => {
        const own = shape.words.size === 1 && !shape.text && !shape.nothing ? [...shape.words][0] : null
        return own === null || object[name] === own
      }),
    )
    return said.length > 0 ? said : types
  }

  /** The value that a form's text stands for, by what the type asks for there. What stands for nothing it asks for stays text. */
  function meant(form: Form | string, shape: Shape): unknown {
    if (typeof form === 'string') {
      if (shape.text || shape.words.has(form)) return form
      if (shape.number && /^-?\d+(\.\d+)?$/.test(form)) return Number(form)
      if (shape.flags.size > 0 && (form === 'true' || form === 'false')) return form === 'true'
      if (shape.nothing && form === '') return null
      return form
    }
    const names = Object.keys(form)
    const list = shape.lists[0]
    if (list && names.every((name) => /^\d+$/.test(name))) {
      const item = shapeOf(checker.getTypeArguments(list as never)[0]!)
      return names.map((name) => meant(form[name]!, item))
    }
    const type = shape.objects[0]
    const { named, others } = type ? fieldsOf(type) : { named: new Map<string, Field>(), others: null }
    return Object.fromEntries(
      Object.entries(form).map(([name, held]) => {
        const expected = named.get(name)?.shape ?? others
        return [name, expected ? meant(held, expected) : held]
      }),
    )
  }

  return {
    /** Every call of the table. */
    calls: [...calls.keys()],
    /** Which call a request is. Null: none of the table. */
    callOf(method: string, path: string): Call | null {
      return patterns.find((each) => each.method === method && each.path.test(path))?.call ?? null
    },
    asked(call: Call, form: Form): string[] {
      const { asks } = calls.get(call)!
      return misfits(meant(form, asks), asks, `${call} asks`)
    },
    answered(call: Call, status: number, body: unknown): string[] {
      if (status === 200) return misfits(body, calls.get(call)!.answers, `${call} answers`)
      return misfits(body, shapeOf(exported.get('Refused')!), `${call} answers ${status}`)
    },
    told(event: unknown): string[] {
      const { type } = event as { type?: unknown }
      return misfits(event, shapeOf(exported.get('Event')!), `event ${String(type)}`)
    },
    close: () => api.close(),
  }
}

function fewest(found: string[][], none: () => string[]): string[] {
  return found.length === 0 ? none() : found.reduce((least, each) => (each.length < least.length ? each : least))
}
