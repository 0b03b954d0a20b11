/** Tags that are opened and not closed, or closed in the wrong place. */
export function unbalancedTags(xml: string): string[] {
  const open: string[] = [];
  for (const [tag, close, name] of xml.matchAll(/<(\/?)(\w+)(?:\s+[\w-]+="[^"<]*")*\s*\/?>/g)) {
    if (close && open.pop() !== name) return [name!];
    if (!close && !tag.endsWith('/>')) open.push(name!);
  }
  return open;
}
