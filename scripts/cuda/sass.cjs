'use strict';
// Reads what nvdisasm prints of kernels: how large their code is, and how much stack their calls take.
//
// R1 is the stack pointer. ptxas gives a kernel's frame room for all that the functions which it calls keep there, and
// writes the sum into the kernel's header, by which the driver makes room. Where functions call each other in a circle,
// or by address, it writes only the kernel's own frame, and says nothing.

/** @typedef {{ frame: number, alignment: number, calls: Set<string>, byAddress: boolean, instructions: number }} Code */

/** The kernels of a disassembly: by symbol, their functions by label; the kernel's own has its symbol. */
function parse(text) {
  /** @type {Map<string, Map<string, Code>>} */
  const kernels = new Map();
  /** Of a label within a function: the function's. */
  const places = new Map();
  let functions, code, symbol, name;
  const open = (label) => {
    name = label;
    code = { frame: 0, alignment: 1, calls: new Set(), byAddress: false, instructions: 0 };
    functions.set(label, code);
  };
  for (const line of text.split('\n')) {
    const section = /^\.text\.(\S+):$/.exec(line);
    const label = /^([^\s.]\S*):$/.exec(line);
    const instruction = /^\s+\/\*[0-9a-f]{4,}\*\/\s+(?:@!?U?P\w+\s+)?([A-Z]\S*)\s*(.*?)\s*;/.exec(line);
    if (section) {
      symbol = section[1];
      functions = new Map();
      kernels.set(symbol, functions);
      open(symbol);
    } else if (label && functions && label[1] !== symbol) {
      open(label[1]);
    } else if (/^\.L\w+:$/.test(line)) {
      places.set(line.slice(0, -1), name);
    } else if (instruction && code) {
      code.instructions++;
      read(code, instruction[1], instruction[2], symbol);
    }
  }
  for (const [label, code] of [...kernels.values()].flatMap((all) => [...all])) {
    for (const target of code.calls) {
      if (!places.has(target)) continue;
      code.calls.delete(target);
      if (places.get(target) !== label) code.calls.add(places.get(target)); // within one's own, it is a jump
    }
  }
  return kernels;
}

/** What one instruction does to the stack, and whom it calls. */
function read(code, opcode, operands, symbol) {
  const target = /`\((.*?)\)/.exec(operands)?.[1];
  if (opcode.startsWith('CALL')) {
    if (/^`/.test(operands) && target) code.calls.add(target);
    else code.byAddress = true;
  } else if (target && /^(BRA|JMP)/.test(opcode)) {
    code.calls.add(target); // to another function, it is a call at the end
  }
  const [to, ...from] = operands.split(/,\s*/);
  if (to !== 'R1' || opcode.startsWith('R2UR')) return;
  const immediate = from.map(number).find((value) => value !== undefined);
  if (/^(VIADD|IADD3)/.test(opcode) && from.includes('R1') && immediate !== undefined) {
    code.frame += Math.max(0, -immediate);
  } else if (/^LOP3/.test(opcode) && from[0] === 'R1' && immediate < 0) {
    code.alignment = Math.max(code.alignment, -immediate);
  } else if (!/^(LDC|MOV|IMAD\.MOV)/.test(opcode)) {
    // Those put it where it was: at the start of a kernel, or at the end of a function.
    throw new Error(`cannot tell what ${opcode} ${operands} does to the stack of ${symbol}`);
  }
}

/** Of 0xffffffb0 and -0x50: -80. Undefined for what is no number. */
function number(operand) {
  const match = /^(-?)(0x[0-9a-f]+)$/.exec(operand);
  return match ? ((match[1] ? -1 : 1) * Number(match[2])) | 0 : undefined;
}

/** The deepest path of calls: { bytes, path, instructions }; bytes are Infinity where there is no deepest. */
function measure(symbol, functions) {
  const known = new Map();
  const visit = (label, above) => {
    if (above.includes(label)) return { bytes: Infinity, path: [label] };
    if (known.has(label)) return known.get(label);
    const code = functions.get(label);
    if (!code) throw new Error(`${symbol} calls ${label}, which is not there`);
    let deepest = { bytes: 0, path: [] };
    if (code.byAddress) deepest = { bytes: Infinity, path: ['pointer'] };
    for (const called of code.calls) {
      const below = visit(called, [...above, label]);
      if (below.bytes > deepest.bytes) deepest = below;
    }
    const bytes = Math.ceil((deepest.bytes + code.frame) / code.alignment) * code.alignment;
    const result = { bytes, path: [label, ...deepest.path] };
    known.set(label, result);
    return result;
  };
  const { bytes, path } = visit(symbol, []);
  const instructions = [...functions.values()].reduce((sum, code) => sum + code.instructions, 0);
  return { bytes, path: path.map((label) => label.split('$').at(-1)), instructions };
}

/** Every kernel of a disassembly: { symbol, bytes, path, instructions }. */
const measureAll = (text) =>
  [...parse(text)].map(([symbol, functions]) => ({ symbol, ...measure(symbol, functions) }));

module.exports = { measureAll };
