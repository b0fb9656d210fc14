import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useEffect } from 'react'
import { refusals } from '../../contract/refusals.ts'
import { documentRead } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Copy } from '../ui/Copy.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import {
  type ApiDocument,
  chaptersOf,
  curlOf,
  type Endpoint,
  type Member,
  membersOf,
  refusalsOf,
  scopeOf,
  successOf,
} from './document.ts'
import { journey } from './journey.ts'

/** What a program can do here, told from the document that the server makes of its own routes. */
export function DocsPage() {
  const document = useQuery(documentRead)
  const loaded = document.isSuccess
  useEffect(() => {
    // The browser looked for the place before there was anything.
    if (loaded && location.hash) window.document.getElementById(location.hash.slice(1))?.scrollIntoView()
  }, [loaded])
  return (
    <Page title="API">
      {document.isPending && <Loading />}
      {document.isError && <ReadProblem error={document.error} again={() => void document.refetch()} />}
      {document.data && <Docs document={document.data} />}
    </Page>
  )
}

function Docs({ document }: { document: ApiDocument }) {
  const base = document.servers[0]!.url
  const chapters = chaptersOf(document)
  return (
    <>
      <EdgeText className="grid gap-16 pb-32">
        <p className="text-lead font-medium">
          What the pages do with numbers and credits, a program can do, by the same rules.
        </p>
        <p>
          The address is <code className="font-mono wrap-anywhere">{base}/api/v1</code>. A program shows who it is by an
          API key, which you make in Settings. The same document for machines:{' '}
          <a href="/api/openapi.json" className="text-link underline">
            OpenAPI 3.1
          </a>
          .
        </p>
      </EdgeText>

      <Section id="journey" title="From nothing to a code">
        <p className="pb-8">
          Put your key into a variable first, <code className="font-mono">KEY=msk_…</code> as you copied it, and each
          line works as it stands.
        </p>
        <ol className="grid gap-16">
          {journey(base).map((line, index) => (
            <li key={line.run} className="grid gap-8">
              <p>
                {index + 1}. {withCode(line.say)}
              </p>
              <Terminal line={line.run} named={`line ${index + 1}`} />
              {line.keep && <p className="text-label text-quiet">{line.keep}</p>}
            </li>
          ))}
        </ol>
      </Section>

      <Section id="rules" title="What holds everywhere">
        <dl className="grid gap-12">
          <Rule name="Money">
            A decimal string in US dollars: “10.00”. Never a number, so nothing is rounded on the way.
          </Rule>
          <Rule name="Time">RFC 3339 in UTC: “2026-11-23T14:02:41Z”.</Rule>
          <Rule name="Repeating">
            Send an <code className="font-mono">Idempotency-Key</code> of your own with every POST. When no answer came,
            send the same request with the same key: it answers as the first time, and nothing happens twice. A refusal
            binds no key.
          </Rule>
          <Rule name="Lists">
            <code className="font-mono">{'{items, next_cursor}'}</code>, 50 items a page;{' '}
            <code className="font-mono">?limit=</code> takes 1 to 100, <code className="font-mono">?cursor=</code> takes
            the <code className="font-mono">next_cursor</code> of the page before. Null: there is no further page.
          </Rule>
          <Rule name="Limits">
            A body has at most 64 kB. An answer 503 or 429 has the header <code className="font-mono">Retry-After</code>
            : wait that many seconds, then repeat.
          </Rule>
          <Rule name="Members">Ignore members that you do not know: answers may gain some.</Rule>
        </dl>
      </Section>

      <Section id="refusals" title="Refusals">
        <p className="pb-8">
          Every failure is <code className="font-mono">application/problem+json</code>: programs read{' '}
          <code className="font-mono">code</code>, people read <code className="font-mono">detail</code>, which says
          what happened, where the money is and what to do; <code className="font-mono">field</code> names what to
          correct.
        </p>
        <Rows
          heads={['Word', 'Status', 'Means']}
          rows={Object.entries(refusals).map(([code, { status, title }]) => ({
            key: code,
            cells: [
              <code key="code" className="font-mono wrap-anywhere">
                {code}
              </code>,
              status,
              title,
            ],
          }))}
        />
      </Section>

      <nav aria-label="Chapters" className="edge-text grid gap-4 pb-16">
        {chapters.map((chapter) => (
          <a key={chapter.name} href={`#${anchorOf(chapter.name)}`} className="text-link underline">
            {chapter.name}
          </a>
        ))}
      </nav>
      {chapters.map((chapter) => (
        <Section key={chapter.name} id={anchorOf(chapter.name)} title={chapter.name}>
          <p className="pb-16">{withCode(chapter.words)}</p>
          <div className="grid gap-32">
            {chapter.endpoints.map((endpoint) => (
              <EndpointEntry key={endpoint.operationId} endpoint={endpoint} document={document} base={base} />
            ))}
          </div>
        </Section>
      ))}
    </>
  )
}

function EndpointEntry({ endpoint, document, base }: { endpoint: Endpoint; document: ApiDocument; base: string }) {
  const success = successOf(endpoint)
  const answered = membersOf(document, success.schema)
  const sent = membersOf(document, endpoint.requestBody?.content['application/json']?.schema)
  const parameters = (endpoint.parameters ?? []).map((parameter) => ({
    name: parameter.name,
    type: parameter.in === 'path' ? 'in the path' : parameter.in === 'header' ? 'header' : 'in the query',
    required: parameter.required ?? false,
    words: parameter.description ?? parameter.schema?.description ?? '',
  }))
  const refused = refusalsOf(endpoint)
  return (
    <article id={endpoint.operationId} aria-labelledby={`${endpoint.operationId}-title`} className="grid gap-8">
      <h3 id={`${endpoint.operationId}-title`} className="font-strong">
        {endpoint.summary}
      </h3>
      <p className="font-mono wrap-anywhere">
        {endpoint.method} {endpoint.path}
      </p>
      {endpoint.description && <p>{withCode(endpoint.description)}</p>}
      <p className="text-label text-quiet">Who may ask: {endpoint['x-who']}</p>
      {endpoint.path.startsWith('/api/v1/') && (scopeOf(endpoint) || endpoint['x-policy'] === 'public') && (
        <Terminal line={curlOf(endpoint, base)} named={`the line for “${endpoint.summary}”`} />
      )}
      <Members title="Send" members={[...parameters, ...sent]} />
      <Members title={`Answered, ${success.status}`} members={answered} />
      <details>
        <summary className="min-h-target cursor-pointer py-4 text-label">Refusals ({refused.length})</summary>
        <Rows
          heads={['Word', 'Status', 'Means']}
          rows={refused.map(({ code, status, title }) => ({
            key: code,
            cells: [
              <code key="code" className="font-mono wrap-anywhere">
                {code}
              </code>,
              status,
              title,
            ],
          }))}
        />
      </details>
    </article>
  )
}

function Members({ title, members }: { title: string; members: Member[] }) {
  if (members.length === 0) return null
  return (
    <details open={members.length <= 6}>
      <summary className="min-h-target cursor-pointer py-4 text-label">
        {title} ({members.length})
      </summary>
      <Rows
        heads={['Name', 'Type', 'Means']}
        rows={members.map((member) => ({
          key: member.name,
          cells: [
            <code key="name" className="font-mono wrap-anywhere">
              {member.name}
            </code>,
            member.type,
            <>
              {withCode(member.words)}
              {member.required || title !== 'Send' ? '' : `${member.words ? ' ' : ''}(optional)`}
            </>,
          ],
        }))}
      />
    </details>
  )
}

function Rows({ heads, rows }: { heads: [string, string, string]; rows: { key: string; cells: ReactNode[] }[] }) {
  return (
    <table className="w-full border-collapse text-label">
      <thead>
        <tr>
          {heads.map((head, index) => (
            <th
              key={head}
              scope="col"
              className={`line-below py-4 pr-12 text-left text-note font-medium text-quiet ${index === 2 ? '' : 'w-name'}`}
            >
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ key, cells }) => (
          <tr key={key} className="line-below">
            {cells.map((cell, index) => (
              <td key={index} className="py-4 pr-12 align-baseline wrap-anywhere">
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Section({ id, title, children }: { id: string; title: string; children: ReactNode }) {
  return (
    <section id={id} aria-labelledby={`${id}-title`} className="edge-text pb-48">
      <h2 id={`${id}-title`} className="total-above pt-12 pb-8 text-lead font-medium">
        {title}
      </h2>
      {children}
    </section>
  )
}

function Rule({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="font-medium">{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** One line for a terminal, whole, with its button to copy. */
function Terminal({ line, named }: { line: string; named: string }) {
  return (
    <div className="flex flex-wrap items-start gap-8 bg-sunk p-12">
      <code className="min-w-0 flex-1 basis-field font-mono text-label wrap-anywhere">{line}</code>
      <Copy text={line} named={named} />
    </div>
  )
}

/** What stands between backticks in the document's sentences is a word of the wire. */
function withCode(sentence: string): ReactNode {
  return sentence.split('`').map((part, index) =>
    index % 2 === 0 ? (
      part
    ) : (
      <code key={index} className="font-mono wrap-anywhere">
        {part}
      </code>
    ),
  )
}

function anchorOf(title: string): string {
  return title.toLowerCase().replace(/[^a-z]+/g, '-')
}
