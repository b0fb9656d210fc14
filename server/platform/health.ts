import type { Status } from '../../contract/contract.ts'

/** How one part of the house stands, told by what was seen to happen: "works" needs evidence, the lack of it is "not known". */
export type Health = Omit<Status['parts'][number], 'part'>
