import { Fragment } from 'react'
import { groups } from './groups.ts'

const sizes = {
  figure: 'text-figure font-medium',
  title: 'text-title font-medium',
  text: '',
}

/**
 * A code, a phone number, an order number: in the face that tells 0 from O, in groups by margin, so that what is copied or
 * selected has no spaces. `lead` digits stand as a group of their own (a country's dial code).
 */
export function Code({ text, lead, size = 'text' }: { text: string; lead?: string; size?: keyof typeof sizes }) {
  const [first, ...others] = groups(text, lead)
  let position = 0
  return (
    <span className={`font-mono wrap-anywhere ${sizes[size]}`}>
      {first}
      {others.map((group) => {
        position += group.length
        return (
          <Fragment key={position}>
            <wbr />
            <span className="group-gap">{group}</span>
          </Fragment>
        )
      })}
    </span>
  )
}
