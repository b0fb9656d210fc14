/** Limits that every room shares. Limits of one room stand in that room. */

/** A JSON body of the API. */
export const REQUEST_BODY_BYTES_MAX = 64 * 1024
/** A webhook's body; the largest event of the card company that we know of is below 100 kB. */
export const WEBHOOK_BODY_BYTES_MAX = 256 * 1024
export const PAGE_ITEMS_DEFAULT = 50
export const PAGE_ITEMS_MAX = 100
