// Packs a screenshot smaller: browsers encode for speed, with filters made for
// photographs. Words on flat ground deflate best as they are.
import { crc32, deflateSync, inflateSync } from 'node:zlib'

const signature = 8

/** The same picture, its pixels unfiltered. For what Chromium writes: 8 bits a channel, RGB or RGBA, not interlaced. */
export function packed(png) {
  const chunks = chunksOf(png)
  const head = chunks.find((c) => c.type === 'IHDR').body
  const width = head.readUInt32BE(0)
  const height = head.readUInt32BE(4)
  const channels = { 2: 3, 6: 4 }[head[9]]
  if (head[8] !== 8 || channels === undefined || head[12] !== 0) throw new Error('not a picture as Chromium writes it')
  const pixels = inflateSync(Buffer.concat(chunks.filter((c) => c.type === 'IDAT').map((c) => c.body)))
  unfilter(pixels, width * channels, height, channels)
  const data = chunk('IDAT', deflateSync(pixels, { level: 9, memLevel: 9 }))
  return Buffer.concat([png.subarray(0, signature), chunk('IHDR', head), data, chunk('IEND', Buffer.alloc(0))])
}

function chunksOf(png) {
  const chunks = []
  for (let at = signature; at < png.length; ) {
    const length = png.readUInt32BE(at)
    chunks.push({ type: png.toString('latin1', at + 4, at + 8), body: png.subarray(at + 8, at + 8 + length) })
    at += 12 + length
  }
  return chunks
}

function chunk(type, body) {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), body])
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(body.length, 0)
  frame.writeUInt32BE(crc32(named), 4)
  return Buffer.concat([frame.subarray(0, 4), named, frame.subarray(4)])
}

/** Turns each row's differences back into its bytes, in place; every row then has filter 0. */
function unfilter(pixels, row, height, step) {
  for (let y = 0; y < height; y++) {
    const start = y * (row + 1) + 1
    const filter = pixels[start - 1]
    pixels[start - 1] = 0
    for (let i = 0; i < row; i++) {
      const at = start + i
      const left = i >= step ? pixels[at - step] : 0
      const up = y > 0 ? pixels[at - row - 1] : 0
      const corner = i >= step && y > 0 ? pixels[at - row - 1 - step] : 0
      pixels[at] += [0, left, up, (left + up) >> 1, filter === 4 ? paeth(left, up, corner) : 0][filter]
    }
  }
}

function paeth(left, up, corner) {
  const guess = left + up - corner
  const [l, u, c] = [left, up, corner].map((v) => Math.abs(guess - v))
  return l <= u && l <= c ? left : u <= c ? up : corner
}
