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
  let position = 0
  return (
    <span className={`font-mono break-all ${sizes[size]}`}>
      {groups(text, lead).map((group) => {
        const first = position === 0
        position += group.length
        return (
          <span key={position} className={first ? '' : 'group-gap'}>
            {group}
          </span>
        )
      })}
    </span>
  )
}
