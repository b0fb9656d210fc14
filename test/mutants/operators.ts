/**
 * What a mutant is, and every one of a file: one small change of its text each. SQL and TypeScript alike by their words, without a
 * parser: what cannot be compiled afterwards is told apart by whoever plants it. SQL inside TypeScript is changed as SQL.
 *
 * Left alone: comments, prose, types, and what no answer depends on (rights have tests of their own; the planner's settings).
 */

export type Mutant = {
  file: string
  line: number
  operator: string
  /** Where in the text, and what stands there instead. */
  start: number
  end: number
  instead: string
  /** The same after lines have moved: the line's text, the change, and which of several equal ones. */
  id: string
}

type Change = { operator: string; start: number; end: number; instead: string }

export function mutantsOf(file: string, text: string): Mutant[] {
  const changes = file.endsWith('.sql') ? sqlChanges(maskedSql(text)) : tsChanges(text)
  const seen = new Map<string, number>()
  return changes
    .filter(({ start, end, instead }) => text.slice(start, end) !== instead)
    .sort((a, b) => a.start - b.start || a.end - b.end || (a.instead < b.instead ? -1 : 1))
    .filter((one, index, all) => {
      const before = all[index - 1]
      return !before || before.start !== one.start || before.end !== one.end || before.instead !== one.instead
    })
    .map((change) => {
      const { start, end, instead } = change
      const lineStart = text.lastIndexOf('\n', start - 1) + 1
      const lineEnd = text.indexOf('\n', start)
      const lineText = text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd).trim()
      const what = `${short(text.slice(start, end))} → ${short(instead) || 'nothing'}`
      const key = `${lineText} ⟶ ${what}`
      const nth = (seen.get(key) ?? 0) + 1
      seen.set(key, nth)
      const line = text.slice(0, start).split('\n').length
      return { ...change, file, line, id: nth === 1 ? key : `${key} (${nth})` }
    })
}

export function mutate(text: string, { start, end, instead }: Mutant): string {
  return text.slice(0, start) + instead + text.slice(end)
}

function short(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 60)
}

// What is masked is blank, so that all places stay where they are.
const blank = (text: string) => text.replaceAll(/[^\n]/g, ' ')
const maskAll = (text: string, what: RegExp) => text.replaceAll(what, blank)

function maskedSql(text: string): string {
  let masked = maskAll(text, /--.*$/gm)
  // Prose: a text with a space in it.
  masked = maskAll(masked, /'[^'\n]* [^'\n]*'/g)
  return maskAll(
    masked,
    /^(revoke|grant|drop function|set (search_path|enable_\w+)|language|create (or replace )?function)\b[^;\n]*(;|$)/gm,
  )
}

const opposites: [string, string][] = [
  ['capture', 'void'],
  ['hold', 'clawback_hold'],
  ['credit', 'debit'],
]
const wordInstead = new Map([...opposites, ...opposites.map(([a, b]) => [b, a] as [string, string])])

function sqlChanges(text: string, from = 0, to = text.length): Change[] {
  const changes: Change[] = []
  const within = text.slice(0, to)
  const each = (operator: string, what: RegExp, instead: (match: RegExpExecArray) => string | string[] | null) => {
    for (const match of within.matchAll(what)) {
      if (match.index < from) continue
      for (const one of [instead(match)].flat()) {
        if (one === null || one === undefined) continue
        changes.push({ operator, start: match.index, end: match.index + match[0].length, instead: one })
      }
    }
  }
  const body = /\bdeclare\b|\bbegin\b/.test(within.slice(from)) || from > 0

  const flips: Record<string, string> = { '<': '<=', '<=': '<', '>': '>=', '>=': '>', '=': '<>', '<>': '=' }
  each('comparison', /(?<=\S\s+)(<=|>=|<>|<|>|=)(?=\s)/g, ([sign]) => flips[sign]!)
  each('comparison', /\bis (not )?distinct from\b/g, ([, not]) => (not ? 'is distinct from' : 'is not distinct from'))
  each('null', /\bis (not )?null\b/g, ([, not]) => (not ? 'is null' : 'is not null'))
  each('not', /(?<!\bis |\bif )\bnot (?!null|distinct)/g, () => '')
  each(
    'arithmetic',
    /(?<=[\w)\]] )[+\-*/](?= [\w(])(?<!select \*)/g,
    ([sign]) => ({ '+': '-', '-': '+', '*': '/', '/': '*' })[sign]!,
  )
  each('sign', /(?<=[(,] ?)-(?=[a-z])/g, () => '')
  each('logic', /(?<!\bbetween \S+)\s(and|or)\b/g, ([text_, word]) =>
    text_.replace(word!, word === 'and' ? 'or' : 'and'),
  )
  each('constant', /(?<![\w.$'"{])\d+(?![\w.'"}])/g, ([digits]) => {
    const n = BigInt(digits)
    return n > 0n ? String(n - 1n) : '1'
  })
  each('lock', / for (no key )?update\b(?! set)/g, () => '')
  each('condition', /(?<=\b(?:if|elsif)\s)(?! )[^;]*?(?=\s+then\b)/g, () => ['true', 'false'])
  each(
    'condition',
    /(?<=\bwhen\s)(?!'\w+'\s+then|\w+\s+then|true|false)[^;']*?('[^']*'[^;']*?)*?(?=\s+then\b)/g,
    () => ['true', 'false'],
  )
  each('condition', /(?<=\bwhile\s)[^;]*?(?=\s+loop\b)/g, () => 'false')
  each('condition', /(?<=\b(?:exit|continue) when\s)[^;]*?(?=;)/g, () => ['true', 'false'])
  each(
    'condition',
    /(?<=\bwhere\s)[^;\n]*?(?=\n|;|\s+(?:group by|order by|limit|returning|and|or|for)\b)/g,
    () => 'true',
  )
  if (body) {
    each('statement', /(?<=^\s*(?:.*(?:then|else|loop|;)\s+)?)[a-z_]\w*(?:\[[^;\]]*\])* := [^;]+;/gm, (match) =>
      isDeclared(within, match.index) ? null : 'null;',
    )
    each('statement', /(?<=^\s+)(?:insert into|update|delete from|perform|raise|return next)\b[^;]*;/gm, () => 'null;')
    each('statement', /(?<=^\s+)select\b(?=[^;]*\binto\b)[^;]*;/gm, (match) =>
      /^\s*\$\$/m.test(match[0]) ? null : 'null;',
    )
  }
  each('word', /'([a-z_]+)'/g, ([, word]) => `'${wordInstead.get(word!) ?? `${word}_`}'`)
  each('element', /(?<=\bin \()'[a-z_]+'(?:, '[a-z_]+')+(?=\))/g, ([list]) => {
    const words = list.split(', ')
    return words.map((_, index) => words.toSpliced(index, 1).join(', '))
  })
  each('element', /(?<=^\s*)case when .* end(?=[,)])/gm, () => 'null')
  each(
    'function',
    /\b(greatest|least|min|max|sum)(?=\()/g,
    ([word]) => ({ greatest: 'least', least: 'greatest', min: 'max', max: 'min', sum: 'max' })[word]!,
  )
  each('function', /\bcoalesce\(((?:[^(),]|\([^()]*\))+), (?:[^(),]|\([^()]*\))+\)/g, ([, first]) => first!)
  each('join', /\b(left|full) join\b/g, ([, side]) => (side === 'full' ? 'left join' : 'join'))
  each('set', /\bunion all\b/g, () => 'union')
  each('set', /\bselect distinct\b/g, () => 'select')
  each('order', / desc\b/g, () => '')
  each('truth', /\b(true|false)\b/g, ([word]) => (word === 'true' ? 'false' : 'true'))
  return changes
}

/** Between `declare` and `begin`: what is given there is given once. */
function isDeclared(text: string, at: number): boolean {
  return text.lastIndexOf('\ndeclare', at) > text.lastIndexOf('\nbegin', at)
}

function tsChanges(text: string): Change[] {
  const { code, sql } = regionsOf(text)
  const changes: Change[] = sql.flatMap(({ start, end, masked }) => sqlChanges(masked, start, end))
  const each = (operator: string, what: RegExp, instead: (match: RegExpExecArray) => string | string[] | null) => {
    for (const match of code.matchAll(what)) {
      for (const one of [instead(match)].flat()) {
        if (one === null || one === undefined) continue
        changes.push({ operator, start: match.index, end: match.index + match[0].length, instead: one })
      }
    }
  }
  const flips: Record<string, string> = { '<': '<=', '<=': '<', '>': '>=', '>=': '>', '===': '!==', '!==': '===' }
  each('comparison', /(?<= )(<=|>=|<|>|===|!==)(?= )/g, ([sign]) => flips[sign]!)
  each('logic', /(?<= )(&&|\|\||\?\?)(?= )/g, ([sign]) => (sign === '&&' ? '||' : '&&'))
  each('not', /(?<=[\s([])!(?=[\w(])/g, () => '')
  each(
    'arithmetic',
    /(?<=[\w)\]'`] )[+\-*/](?= [\w('`])/g,
    ([sign]) => ({ '+': '-', '-': '+', '*': '/', '/': '*' })[sign]!,
  )
  each('arithmetic', /(?<= )(\+|-)=(?= )/g, ([, sign]) => (sign === '+' ? '-=' : '+='))
  each('arithmetic', /(?<=\w)\+\+/g, () => '--')
  each('constant', /(?<![\w.$'"`#])\d[\d_]*n?(?![\w.'"`])/g, ([digits]) => {
    const big = digits.endsWith('n') ? 'n' : ''
    const n = BigInt(digits.replaceAll(/[_n]/g, ''))
    return n > 0n ? `${n - 1n}${big}` : `1${big}`
  })
  each('truth', /(?<![.\w'])(true|false)\b(?!')/g, ([word]) => (word === 'true' ? 'false' : 'true'))
  for (const match of code.matchAll(/\b(if|while) \(/g)) {
    const start = match.index + match[0].length
    const end = balanced(code, start)
    if (end === null) continue
    const words = match[1] === 'if' ? ['true', 'false'] : ['false']
    for (const instead of words) changes.push({ operator: 'condition', start, end, instead })
  }
  for (const match of code.matchAll(/(?<=\bfor \([^;\n]*; )[^;\n]*(?=;)/g))
    changes.push({ operator: 'condition', start: match.index, end: match.index + match[0].length, instead: 'false' })
  each('word', /'([A-Za-z_]+)'/g, ([, word]) => `'${wordInstead.get(word!) ?? `${word}_`}'`)
  each(
    'function',
    /\.(some|every|find|findLast|min|max)(?=\()/g,
    ([, word]) =>
      `.${{ some: 'every', every: 'some', find: 'findLast', findLast: 'find', min: 'max', max: 'min' }[word!]}`,
  )
  each(
    'statement',
    /(?<=^\s+)(?:await |void )?[\w.]+(?:\[[^\]\n]*\])?(?:!?\.\w+)*(?:\(.*\)| (?:[+-]|\?\?|\|\|)?= [^\n]+)$/gm,
    (match) => {
      const [statement] = match
      if (/^(return|if|for|while|const|let|else|throw|type|export|import|async|function)\b/.test(statement)) return null
      if (/[,{([&|?:+=]$/.test(statement) || balanced(`${statement})`, 0) !== statement.length) return null
      // The rest of an expression that began above, or goes on below.
      const above = code.slice(0, match.index).trimEnd()
      const below = code.slice(match.index + statement.length).trimStart()
      if (/[=(,?:&|+[]$|=>$/.test(above) || /^[.?:&|+]/.test(below)) return null
      return '{}'
    },
  )
  each('statement', /(?<=^\s*(?:.*\) )?)(?:continue|break)$/gm, () => '{}')
  return changes
}

/** Where the bracket closes that was opened just before; null: not at all. */
function balanced(text: string, from: number): number | null {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    if ('([{'.includes(text[at]!)) depth++
    else if (')]}'.includes(text[at]!) && --depth < 0) return at
  }
  return null
}

const SQL = /^\s*(?:select|insert|update|delete|with|\(values)\b/

/** `code`: TypeScript, everything else blank. `sql`: each text of SQL in it, the whole file blank around it. */
function regionsOf(text: string): { code: string; sql: { start: number; end: number; masked: string }[] } {
  const code = [...text]
  const sql: { start: number; end: number; masked: string }[] = []
  const blankCode = (from: number, to: number) => {
    for (let at = from; at < to; at++) if (code[at] !== '\n') code[at] = ' '
  }
  const token =
    /\/\/.*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|(?<=[(=,:?&|!] ?)\/(?![/*])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/g
  for (const match of text.matchAll(token)) {
    const [found] = match
    const [start, end] = [match.index, match.index + found.length]
    if (found.startsWith("'") && /^'[A-Za-z_]+'$/.test(found)) continue
    blankCode(start, end)
    const quoted = /^['"`]/.test(found) ? found.slice(1, -1) : ''
    if (!SQL.test(quoted)) continue
    // What is put in is not SQL.
    const inside = maskedSql(quoted.replaceAll(/\$\{[^}]*\}/g, blank))
    sql.push({ start: start + 1, end: end - 1, masked: blank(text.slice(0, start + 1)) + inside })
  }
  let masked = code.join('')
  // Types and imports.
  masked = maskAll(masked, /^import\b[^\n]*(?:\n\s[^\n]*)*\n(?:\}[^\n]*\n)?/gm)
  masked = maskAll(masked, /^(?:export )?type \w+(?:<[^>]*>)? =[^\n]*\n(?:(?: {2,}|\}|\n)[^\n]*\n)*/gm)
  masked = maskAll(masked, /^export type [^\n]*$/gm)
  masked = maskAll(masked, /\bas '\w+'(?: \| '\w+')*|\b(?:Row|Pick|Promise|Map|Set)<[^>\n]*'[^>\n]*>/g)
  // What a batcher or a prepared statement is called.
  masked = maskAll(masked, /\bname: '\w+'/g)
  return { code: masked, sql }
}
