import { Fragment } from 'react'
import { groups, inFours } from './groups.ts'

const sizes = {
  figure: 'text-figure font-medium',
  title: 'text-title font-medium',
  text: '',
}

/**
 * A code, a phone number, an order number: in the face that tells 0 from O, in groups by margin, so that what is copied or
 * selected has no spaces. `lead` digits stand as a group of their own (a country's dial code).
 * `fours`: an address, in groups of four letters.
 */
export function Code({
  text,
  lead,
  fours = false,
  size = 'text',
}: {
  text: string
  lead?: string
  fours?: boolean
  size?: keyof typeof sizes
}) {
  const parts = fours ? inFours(text, lead) : groups(text, lead)
  let position = 0
  return (
    <span className={`font-mono wrap-anywhere ${sizes[size]}`}>
      {parts.map((group, index) => {
        position += group.length
        return index === parts.length - 1 ? (
          <span key={position}>{group}</span>
        ) : (
          <Fragment key={position}>
            <span className="group-gap">{group}</span>
            <wbr />
          </Fragment>
        )
      })}
    </span>
  )
}
