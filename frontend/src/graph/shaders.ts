/** The programs of the WebGL2 renderer. Lengths are world units unless named px. */

const header = `#version 300 es
precision highp float;
`

/** Common to all: the view and the size of a pixel in world units. */
const view = `
uniform vec3 u_view;   // x, y, zoom, in CSS pixels
uniform vec2 u_size;   // of the canvas, in CSS pixels
uniform float u_px;    // one device pixel in world units
vec4 clip(vec2 world) {
  vec2 screen = world * u_view.z + u_view.xy;
  return vec4(screen.x / u_size.x * 2.0 - 1.0, 1.0 - screen.y / u_size.y * 2.0, 0.0, 1.0);
}
`

/** How many edges share a row of the style texture. */
export const edgesPerRow = 256

const texel = `vec4 style(int part, int edge) { return texelFetch(u_styles, ivec2((edge % ${edgesPerRow}) * 3 + part, edge / ${edgesPerRow}), 0); }`

/**
 * A path is a strip of two vertices a point. What it looks like comes from a
 * small texture, three texels an edge and many edges a row (no driver takes a
 * texture of 30,000 rows), so that a tick uploads styles only:
 *   0 colour rgba   1 width, dash on, dash off, alpha   2 dot gap, dot speed, halo, length
 */
export const edgeVertex = `${header}${view}
layout(location=0) in vec2 a_at;
layout(location=1) in vec2 a_normal;
layout(location=2) in vec3 a_more;     // length so far, side, edge
uniform sampler2D u_styles;
${texel}
uniform float u_halo;                  // 1: the halo under selected edges
out float v_across;
out float v_length;
flat out vec4 v_colour;
flat out vec4 v_shape;
flat out vec4 v_flow;
void main() {
  int row = int(a_more.z);
  v_colour = style(0, row);
  v_shape = style(1, row);
  v_flow = style(2, row);
  v_shape.x = max(v_shape.x, 1.2 / u_view.z);
  float half_width = v_shape.x * 0.5 + u_px;
  if (u_halo > 0.5) half_width = v_flow.z > 0.5 ? 6.5 + u_px : 0.0;
  v_across = a_more.y * half_width;
  v_length = a_more.x;
  gl_Position = clip(a_at + a_normal * v_across);
}
`

export const edgeFragment = `${header}
in float v_across;
in float v_length;
flat in vec4 v_colour;
flat in vec4 v_shape;
flat in vec4 v_flow;
uniform float u_px;
uniform float u_halo;
uniform float u_time;      // seconds; negative: no dots
uniform vec4 u_dot;
uniform vec4 u_halo_colour;
out vec4 colour;
float inside(float d) { return clamp(0.5 - d / u_px, 0.0, 1.0); }
void main() {
  float arrow = 4.2 + v_shape.x * 0.7 + 1.5;
  if (u_halo > 0.5) {
    if (v_flow.z < 0.5) discard;
    float a = inside(abs(v_across) - 6.5) * u_halo_colour.a;
    colour = vec4(u_halo_colour.rgb * a, a);
    return;
  }
  float a = inside(abs(v_across) - v_shape.x * 0.5);
  a *= inside(v_length - (v_flow.w - arrow + 0.5));
  if (v_shape.z > 0.0) {
    float period = v_shape.y + v_shape.z;
    float at = mod(v_length, period);
    a *= inside(abs(at - v_shape.y * 0.5) - v_shape.y * 0.5);
  }
  vec3 rgb = v_colour.rgb;
  if (u_time >= 0.0 && v_flow.x > 0.0) {
    float at = mod(v_length - u_time * v_flow.y, v_flow.x) - v_flow.x * 0.5;
    float radius = min(1.1, v_shape.x * 0.3);
    float d = inside(length(vec2(at, v_across)) - radius) * 0.75;
    rgb = mix(rgb, u_dot.rgb, d);
  }
  a *= v_colour.a * v_shape.w;
  colour = vec4(rgb * a, a);
}
`

export const arrowVertex = `${header}${view}
layout(location=0) in vec2 a_tip;
layout(location=1) in vec2 a_back;     // direction from tip to tail, a unit
layout(location=2) in vec2 a_corner;   // -1, 0 or 1 across; 0 at the tip, 1 at the base
layout(location=3) in float a_edge;
uniform sampler2D u_styles;
${texel}
flat out vec4 v_colour;
void main() {
  int row = int(a_edge);
  vec4 shape = style(1, row);
  float width = max(shape.x, 1.2 / u_view.z);
  float a = 4.2 + width * 0.7;
  v_colour = style(0, row);
  v_colour.a *= shape.w;
  vec2 across = vec2(-a_back.y, a_back.x);
  gl_Position = clip(a_tip + a_back * (a + 1.5) * a_corner.y + across * a * 0.58 * a_corner.x);
}
`

export const arrowFragment = `${header}
flat in vec4 v_colour;
out vec4 colour;
void main() { colour = vec4(v_colour.rgb * v_colour.a, v_colour.a); }
`

/** Boxes with round corners: groups, and nodes too small to be cards. */
export const boxVertex = `${header}${view}
layout(location=0) in vec2 a_corner;   // 0..1
layout(location=1) in vec4 a_rect;     // x, y, w, h
layout(location=2) in vec4 a_fill;
layout(location=3) in vec4 a_stroke;
layout(location=4) in vec4 a_form;     // radius, stroke in px, dashed, glyph
layout(location=5) in vec4 a_glyph;    // colour
out vec2 v_at;
flat out vec2 v_half;
flat out vec4 v_fill;
flat out vec4 v_stroke;
flat out vec4 v_form;
flat out vec4 v_glyph;
void main() {
  float margin = 2.0 * u_px + a_form.y;
  vec2 size = a_rect.zw + 2.0 * margin;
  vec2 corner = a_rect.xy - margin + a_corner * size;
  v_half = a_rect.zw * 0.5;
  v_at = corner - (a_rect.xy + v_half);
  v_fill = a_fill; v_stroke = a_stroke; v_form = a_form; v_glyph = a_glyph;
  gl_Position = clip(corner);
}
`

export const boxFragment = `${header}
in vec2 v_at;
flat in vec2 v_half;
flat in vec4 v_fill;
flat in vec4 v_stroke;
flat in vec4 v_form;
flat in vec4 v_glyph;
uniform float u_px;
uniform vec3 u_view;
out vec4 colour;
float inside(float d) { return clamp(0.5 - d / u_px, 0.0, 1.0); }
float box(vec2 p, vec2 b, float r) {
  vec2 q = abs(p) - b + r;
  return min(max(q.x, q.y), 0.0) + length(max(q, 0.0)) - r;
}
float octagon(vec2 p, float r) {
  p = abs(p);
  return max(max(p.x, p.y), (p.x + p.y) * 0.7071) - r * 0.92;
}
float triangle(vec2 p, float r) {
  p.y += r * 0.1;
  return max(p.y - r * 0.75, abs(p.x) * 0.866 + (-p.y) * 0.5 - r * 0.55);
}
vec4 over(vec4 top, vec4 below) { return top + below * (1.0 - top.a); }
vec4 paint(vec4 c, float a) { return vec4(c.rgb, 1.0) * c.a * a; }
void main() {
  float d = box(v_at, v_half, v_form.x);
  vec4 c = paint(v_fill, inside(d));
  float stroke = max(1.0, v_form.y) / u_view.z;
  float edge = inside(abs(d + stroke * 0.5) - stroke * 0.5);
  if (v_form.z > 0.5) {
    float along = abs(v_at.x) / v_half.x > abs(v_at.y) / v_half.y ? v_at.y : v_at.x;
    edge *= step(mod(along * u_view.z + 64.0, 7.0), 4.0);
  }
  c = over(paint(v_stroke, edge), c);
  float kind = v_form.w;
  if (kind > 0.5) {
    float r = v_half.y * 0.54;
    float g = kind < 1.5 ? length(v_at) - r * 0.8
            : kind < 2.5 ? triangle(v_at, r)
            : kind < 3.5 ? octagon(v_at, r)
            : abs(length(v_at) - r * 0.7) - r * 0.14;
    c = over(paint(v_glyph, inside(g)), c);
  }
  colour = c;
}
`
