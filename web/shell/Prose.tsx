import { useQuery } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Passage, Section } from '../../contract/policies.ts'
import { siteRead } from '../reads.ts'
import { linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { type Piece, pieces } from './prose.ts'

/** A written text: sections with titles that can be linked to. */
export function Prose({ sections }: { sections: Section[] }) {
  return sections.map((section) => (
    <EdgeText key={section.id} className="pt-24">
      <h2 id={section.id} className="scroll-mt-72 text-lead font-medium">
        {section.title}
      </h2>
      <Passages passages={section.passages} />
    </EdgeText>
  ))
}

export function Passages({ passages }: { passages: Passage[] }) {
  return passages.map((passage) =>
    typeof passage === 'string' ? (
      <p key={passage} className="mt-8">
        <Words text={passage} />
      </p>
    ) : (
      <ul key={passage[0]} className="mt-8 grid gap-8">
        {passage.map((point) => (
          <li key={point} className="flex gap-12">
            <span aria-hidden="true" className="flex h-[1lh] w-8 shrink-0 items-center">
              <span className="w-full border-t border-edge" />
            </span>
            <span className="min-w-0 flex-1">
              <Words text={point} />
            </span>
          </li>
        ))}
      </ul>
    ),
  )
}

/** A sentence with its links, and with the house's own names put in. */
export function Words({ text }: { text: string }): ReactNode {
  const site = useQuery(siteRead).data
  if (!site) return null
  const names = { brand: site.brand.name, seller: site.seller.name, address: site.seller.address }
  const support = site.seller.support_email
  return pieces(text, names).map((piece, index) => <PieceOf key={index} piece={piece} support={support} />)
}

function PieceOf({ piece, support }: { piece: Piece; support: string }) {
  switch (piece.kind) {
    case 'words':
      return piece.text
    case 'support':
      return (
        <a href={`mailto:${support}`} className={linkClass}>
          {support}
        </a>
      )
    case 'link':
      return <TextLink href={piece.href} text={piece.text} />
  }
}

function TextLink({ href, text }: { href: string; text: string }) {
  const router = useRouter()
  const isOurs = href.startsWith('/') && !href.startsWith('/api/')
  return (
    <a
      href={href}
      className={linkClass}
      onClick={(event) => {
        const elsewhere = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0
        if (!isOurs || elsewhere) return
        event.preventDefault()
        router.history.push(href)
      }}
    >
      {text}
    </a>
  )
}
