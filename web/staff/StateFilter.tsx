import { EdgeText } from '../ui/Edge.tsx'
import { Select } from '../ui/Field.tsx'
import { useZone } from '../ui/Time.tsx'
import { zoneWords } from '../ui/times.ts'

/** Above a list of staff: which of its rows are shown, and in whose time. `status` of the address; undefined: all of them. */
export function StateFilter(props: {
  states: { value: string; text: string }[]
  status: string | undefined
  show: (search: { status?: string }) => void
}) {
  const zone = useZone()
  return (
    <EdgeText className="flex flex-wrap items-end gap-x-24 gap-y-8 pb-8">
      <Select
        label="State"
        options={props.states}
        value={props.status ?? ''}
        onChange={(event) => {
          const status = event.currentTarget.value
          props.show(status ? { status } : {})
        }}
      />
      <p className="pb-4 text-note text-quiet">Times in {zoneWords(zone)}.</p>
    </EdgeText>
  )
}
