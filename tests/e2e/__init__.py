"""The whole as it is deployed: the image, and the operator as a pod."""
