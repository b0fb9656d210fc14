import type { StaffCryptoItem } from '../../contract/contract.ts'
import { Time } from '../ui/Time.tsx'

/** Who did what, and why. */
export function History({ actions }: { actions: StaffCryptoItem['history'] }) {
  if (actions.length === 0) return null
  return (
    <ul className="text-note text-quiet">
      {actions.map((action) => (
        <li key={`${action.at}${action.what}`}>
          <Time at={action.at} precision="minutes" />: {action.by ?? 'the house'} {action.what}
          {action.why === null ? '' : `. ${action.why}`}
        </li>
      ))}
    </ul>
  )
}
