"""Problems, data, measurement, training and the command line of estimax."""
