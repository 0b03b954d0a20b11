import { tf } from '../tensorflow.js';

/** A ring of zeros. Written out: TensorFlow.js takes a mere number for the padding of square filters only. */
const PADDING: Exclude<Parameters<typeof tf.conv2d>[3], string | number> = [
  [0, 0],
  [1, 1],
  [1, 1],
  [0, 0],
];

const correlate = (x: tf.Tensor4D, filters: tf.Tensor4D): tf.Tensor4D => tf.conv2d(x, filters, 1, PADDING);

/**
 * 3×3 convolution of images padded with zeros: x [batch, height, width, in], filters [3, 3, in, out], result
 * [batch, height, width, out]. It is that of TensorFlow.js, with gradients that WebAssembly can compute too: they are
 * convolutions like it.
 */
export const convolve = tf.customGrad((...args) => {
  const [x, filters] = args as unknown as [tf.Tensor4D, tf.Tensor4D];
  const save = args.at(-1) as unknown as tf.GradSaveFunc;
  save([x, filters]);
  return { value: correlate(x, filters), gradFunc: gradients };
}) as (x: tf.Tensor4D, filters: tf.Tensor4D) => tf.Tensor4D;

/**
 * Of x, the convolution of dy with the filters turned by 180°. Of the filters, the convolution of x with dy as a filter
 * of the images' size, where images and channels have changed places: the sum is over the images.
 */
function gradients(upstream: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] {
  const [x, filters] = saved as [tf.Tensor4D, tf.Tensor4D];
  const dy = upstream as tf.Tensor4D;
  const turned: tf.Tensor4D = tf.transpose(tf.reverse(filters, [0, 1]), [0, 1, 3, 2]);
  const byChannel: tf.Tensor4D = tf.transpose(x, [3, 1, 2, 0]);
  const asFilter: tf.Tensor4D = tf.transpose(dy, [1, 2, 0, 3]);
  const dfilters = correlate(byChannel, asFilter);
  return [correlate(dy, turned), tf.transpose(dfilters, [1, 2, 0, 3])];
}
