'use strict';
// An application that gets bundled: solves, with the function and with the layer, and tells what came of it.
const { QpError, devices, qpSolveBatchSync } = require('optnet');
const { qpLayer } = require('optnet/tfjs');

// Of TensorFlow.js, what the layer uses where nothing is differentiated.
const tf = {
  Tensor: class {},
  engine: () => ({ isTapeOn: () => false }),
  tensor: (data) => data,
};

function outcome(solve) {
  try {
    return Array.from(solve(), (x) => Number(x.toFixed(6)));
  } catch (error) {
    return { code: error.code, known: error instanceof QpError, message: error.message };
  }
}

const problem = { Q: [[2]], p: [-3] };
console.log(
  JSON.stringify({
    z: outcome(() => qpSolveBatchSync(problem).z.data),
    layer: outcome(() => qpLayer(tf)(problem)),
    cpu: devices()[0],
  }),
);
