/** A picture with a white ground, so that it can be read on a dark page too. */
export function svgDocument(
  title: string,
  width: number,
  height: number,
  contents: readonly string[],
): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${at(width)} ${at(height)}" \
width="${at(width)}" height="${at(height)}" font-family="sans-serif" font-size="13" fill="#222">
<title>${escape(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
${contents.join('\n')}
</svg>
`;
}

export const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${at(x)}" y="${at(y)}"${attributes === '' ? '' : ` ${attributes}`}>${escape(content)}</text>`;

/** A coordinate, to a tenth of a pixel. */
export const at = (coordinate: number): string => coordinate.toFixed(1).replace(/\.0$/, '');

export const escape = (content: string): string =>
  content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
